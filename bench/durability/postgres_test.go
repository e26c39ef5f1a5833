package durability

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sohbet/bench/process"
)

// postgres is a PostgreSQL server of this test, which can be stopped.
type postgres struct {
	t    *testing.T
	bin  string
	dir  string
	port int
	as   *syscall.Credential // user to run as if the test runs as root, which PostgreSQL refuses
}

// newPostgres starts a PostgreSQL server on a loopback port in a temporary folder, both for the duration of the test.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	p := &postgres{t: t, bin: postgresPrograms(t)}
	outer, err := os.MkdirTemp("", "sohbet-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(outer) })
	p.dir = filepath.Join(outer, "data")
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		who, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, err1 := strconv.ParseUint(who.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(who.Gid, 10, 32)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, err := range []error{os.Chmod(outer, 0o711), os.Chown(p.dir, int(uid), int(gid))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	p.run("initdb", "-D", p.dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.port = ln.Addr().(*net.TCPAddr).Port
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	p.start()
	t.Cleanup(func() { _ = p.command("pg_ctl", "stop", "-D", p.dir, "-m", "immediate", "-s").Run() })
	return p
}

// postgresPrograms returns the folder of the newest PostgreSQL binaries, which Debian does not put on the PATH.
func postgresPrograms(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatal("PostgreSQL's server is not installed (make test installs it)")
	}
	sort.Strings(found)
	return filepath.Dir(found[len(found)-1])
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

func (p *postgres) run(name string, args ...string) {
	p.t.Helper()
	cmd := p.command(name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (p *postgres) start() {
	p.t.Helper()
	p.run("pg_ctl", "start", "-D", p.dir, "-w", "-t", "60", "-s", "-l", filepath.Join(p.dir, "log"),
		"-o", fmt.Sprintf("-h 127.0.0.1 -p %d -k ''", p.port))
}

func (p *postgres) stop() {
	p.t.Helper()
	p.run("pg_ctl", "stop", "-D", p.dir, "-w", "-m", "fast", "-s")
}

func (p *postgres) url() string {
	return "postgres://postgres@127.0.0.1:" + strconv.Itoa(p.port) + "/postgres?sslmode=disable"
}

// health returns the response of the server's /health.
func health(t *testing.T, p *process.Process) string {
	t.Helper()
	out, err := get("http://" + p.Addr + "/health")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
