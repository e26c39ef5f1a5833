package durability

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sohbet/bench/process"
	"sohbet/models"
	"sohbet/models/storetest"
)

// TestDoctorAgreesWithHealth breaks the disk and the files of a running server in several ways: /health and the doctor find the same fault,
// and name the same cure.
func TestDoctorAgreesWithHealth(t *testing.T) { withMounts(t, breakFiles) }

// healthCheck is a check of /health with its details.
type healthCheck struct{ Status, Reason, Detail, Cure string }

func healthOf(t *testing.T, p *process.Process) map[string]healthCheck {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+p.Addr+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+metricsToken)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Checks map[string]healthCheck }
	if err := errors.Join(json.NewDecoder(res.Body).Decode(&found), res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return found.Checks
}

// agree waits until a check of /health fails for a reason, and expects the doctor to say the same.
func agree(t *testing.T, dir, database string, p *process.Process, check, reason string) {
	t.Helper()
	var found healthCheck
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if found = healthOf(t, p)[check]; found.Reason == reason {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: /health says %+v\n%s", reason, found, p.Tail())
		}
	}
	_, port, _ := strings.Cut(p.Addr, ":")
	code, said := process.Run(t, dir, []string{"HOST=127.0.0.1", "PORT=" + port, "DATA_DIR=" + dir, "DATABASE_URL=" + database, "SECRET_KEY=" + storetest.Key,
		"LC_ALL=C.UTF-8", "MIN_FREE_DISK=off"}, "doctor")
	if code != 1 || found.Status != "error" || found.Cure == "" || !strings.Contains(said, found.Detail) || strings.Count(said, found.Cure) != 1 {
		t.Errorf("%s: /health says %+v, the doctor ends with %d and says\n%s", reason, found, code, said)
	}
}

func breakFiles(t *testing.T) {
	d := mountDisk(t, 200)
	file := filepath.Join(d.dir, "chat.db")
	database := "sqlite://" + file
	p := start(t, d.dir, database, "MIN_FREE_DISK=off")
	v := &visitor{window: 1}
	if err := v.enter(t, p.Addr); err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		t.Helper()
		if a, err := v.ask("message", map[string]string{"thread_id": v.thread, "text": text, "client_id": text}); err != nil || !a.OK {
			t.Fatalf("%s: %+v, %v", text, a, err)
		}
	}
	say("before")

	d.leave(0)
	agree(t, d.dir, database, p, "disk", "disk_full")
	d.empty()

	// What the server has open stays writable, as when the kernel makes a file system read-only the other files do not.
	if err := errors.Join(syscall.Mount(d.dir, d.dir, "", syscall.MS_BIND, ""), syscall.Mount("", d.dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")); err != nil {
		t.Fatalf("make the folder read-only: %v", err)
	}
	agree(t, d.dir, database, p, "disk", "folder_readonly")
	if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	becomes(t, p, "disk", "ok")

	if err := os.Remove(file + "-wal"); err != nil {
		t.Fatal(err)
	}
	say("into a deleted log")
	agree(t, d.dir, database, p, "database", "database_log_deleted")
	say("and after")
	p.Stop() // saves what is in the deleted log
	p = start(t, d.dir, database, "MIN_FREE_DISK=off")
	becomes(t, p, "database", "ok")
	if n := count(t, file); n != 3 {
		t.Errorf("%d of 3 messages are stored after the log was deleted", n)
	}

	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	agree(t, d.dir, database, p, "database", "database_deleted")
	if _, err := os.Stat(file); err == nil {
		t.Error("the doctor made a new database")
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	becomes(t, p, "database", "ok")
	p.Stop()

	spoil(t, file)
	p = start(t, d.dir, database, "MIN_FREE_DISK=off")
	v = &visitor{window: 1}
	if err := v.enter(t, p.Addr); err != nil {
		t.Fatal(err)
	}
	if a, err := v.ask("message", map[string]string{"thread_id": v.thread, "text": "x"}); err != nil || a.OK {
		t.Errorf("a message into a damaged table: %+v, %v", a, err)
	}
	agree(t, d.dir, database, p, "database", "database_damaged")
}

// spoil damages the first page of the table of messages.
func spoil(t *testing.T, file string) {
	t.Helper()
	s, err := models.Open(t.Context(), models.Options{URL: "sqlite://" + file, Keys: []string{storetest.Key}})
	if err != nil {
		t.Fatal(err)
	}
	var page, size int64
	err = storetest.Raw(t, s).QueryRow("SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'messages'").Scan(&page, &size)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)), (page-1)*size)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// count returns the number of messages stored.
func count(t *testing.T, file string) int64 {
	t.Helper()
	s, err := models.Open(t.Context(), models.Options{URL: "sqlite://" + file, Keys: []string{storetest.Key}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.CountThreads(t.Context())
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return all.Unread
}
