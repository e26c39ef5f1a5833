package durability

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sohbet/bench/process"
	"sohbet/server/media/mediatest"
)

// TestDiskFull fills the disk of the data folder, a small tmpfs: /health reports it before it is full, no acked message is lost, no
// message is acked without being stored, and everything recovers by itself when there is space again.
//
// It mounts the disk in a separate mount namespace, which ends with its process, so the test runs itself again in a child process.
func TestDiskFull(t *testing.T) { withMounts(t, fillDisk) }

// withMounts runs a test in a child process with its own mount namespace.
func withMounts(t *testing.T, body func(*testing.T)) {
	t.Helper()
	const inside = "SOHBET_TEST_NAMESPACE"
	if os.Getenv(inside) != "" {
		body(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 { // in a user namespace, mounting needs no root
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v (this needs root, or a kernel that lets users have namespaces)\n%s", err, out)
	}
	t.Logf("%s", out)
}

// disk is a file system of a fixed size.
type disk struct {
	t      *testing.T
	dir    string
	filler string
}

func mountDisk(t *testing.T, megabytes int) *disk {
	t.Helper()
	d := &disk{t: t, dir: t.TempDir()}
	d.filler = filepath.Join(d.dir, "filler")
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatalf("keep mounts to this namespace: %v", err)
	}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() { // after the server has ended, and before the folder is removed
		if err := syscall.Unmount(d.dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return d
}

// leave fills the disk until free bytes are left.
func (d *disk) leave(free int64) {
	d.t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		d.t.Fatal(err)
	}
	f, err := os.OpenFile(d.filler, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, 2)
	if err == nil {
		err = syscall.Fallocate(int(f.Fd()), 0, size, int64(s.Bavail)*s.Bsize-free)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) empty() {
	d.t.Helper()
	if err := os.Remove(d.filler); err != nil {
		d.t.Fatal(err)
	}
}

// becomes waits until a check of /health has this state, and returns the overall status and the HTTP status code.
func becomes(t *testing.T, p *process.Process, check, state string) (whole string, code int) {
	t.Helper()
	var found struct {
		Status string
		Checks map[string]struct{ Status, Detail string }
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		res, err := http.Get("http://" + p.Addr + "/health")
		if err == nil {
			err = errors.Join(json.NewDecoder(res.Body).Decode(&found), res.Body.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		if found.Checks[check].Status == state {
			return found.Status, res.StatusCode
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not become %s: %+v\n%s", check, state, found, p.Tail())
		}
	}
}

func fillDisk(t *testing.T) {
	d := mountDisk(t, 400)
	p := start(t, d.dir, "", "RATE_LIMIT_UPLOAD=off", "MIN_FREE_DISK=off")
	expect := func(what, check, state, whole string, code int) {
		t.Helper()
		if got, status := becomes(t, p, check, state); got != whole || status != code {
			t.Errorf("%s: %s and %d, want %s and %d", what, got, status, whole, code)
		}
	}
	upload := func() int {
		body, kind := form(t, "a.jpg", mediatest.JPEG(t, mediatest.Picture(400, 300, 20)))
		res, err := http.Post("http://"+p.Addr+"/api/upload/image", kind, strings.NewReader(string(body)))
		if err == nil {
			err = res.Body.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	v := &visitor{window: 1}
	if err := v.enter(t, p.Addr); err != nil {
		t.Fatal(err)
	}
	say := func() answer {
		t.Helper()
		n := len(v.acked)
		text := fmt.Sprint(n)
		a, err := v.ask("message", map[string]string{"thread_id": v.thread, "text": text, "client_id": text})
		if err != nil {
			t.Fatal(err)
		}
		if a.OK {
			v.acked, v.sent = append(v.acked, a.Message.ID), n+1
		}
		return a
	}
	expect("empty", "disk", "ok", "healthy", 200)
	if a := say(); !a.OK {
		t.Fatalf("the first message: %+v", a)
	}

	d.leave(60 << 20)
	expect("nearly full", "disk", "warning", "degraded", 200)
	if a := say(); !a.OK {
		t.Errorf("nearly full: %+v", a)
	}

	d.leave(0)
	expect("full", "disk", "error", "unhealthy", 503)
	if status := upload(); status < 500 {
		t.Errorf("an upload onto a full disk: %d", status)
	}
	// The database can still store a little in space that its files already occupy; then it must refuse with an error.
	refused := answer{OK: true}
	for i := 0; refused.OK && i < 20_000; i++ {
		refused = say()
	}
	if refused.OK || refused.Error.Code != "db_save_failed" {
		t.Fatalf("%d messages went onto a full disk, and then: %+v", len(v.acked), refused)
	}
	stored := len(v.acked)
	expect("refusing", "database", "error", "unhealthy", 503)

	d.empty()
	for range 10 {
		if a := say(); !a.OK {
			t.Errorf("with room again: %+v", a)
		}
	}
	becomes(t, p, "disk", "ok")
	expect("empty again", "database", "ok", "healthy", 200)
	if status := upload(); status != http.StatusOK {
		t.Errorf("an upload with room again: %d", status)
	}
	err := v.read()
	if err == nil {
		err = v.check()
	}
	if err != nil || len(v.stored) != len(v.acked) {
		t.Errorf("%d acked, %d stored: %v", len(v.acked), len(v.stored), err)
	}
	t.Logf("%d messages until the disk took no more, %d acked in all, none lost", stored, len(v.acked))
}
