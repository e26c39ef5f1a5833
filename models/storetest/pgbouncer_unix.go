//go:build unix

package storetest

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// PgBouncer starts the installed PgBouncer on a free loopback port, in front of the database of a postgres:// URL from [Options], and
// returns the URL of that database through it. mode is its pool_mode. Its tracking of prepared statements across sessions is turned
// off. It is stopped when the test ends.
func PgBouncer(t testing.TB, address, mode string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !exists(program) {
			t.Fatal("pgbouncer is not installed: run .ci/install")
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the database's address is no URL")
	}
	dir, err := os.MkdirTemp("", "sohbet-pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // inside the temporary folder, which is cleaned up anyway
	password, _ := u.User.Password()
	users := fmt.Sprintf("%q %q\n", u.User.Username(), password)
	port := freePort(t)
	config := fmt.Sprintf(`[databases]
chat = host=%s port=%s dbname=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = %s
default_pool_size = 4
%s
`, u.Hostname(), u.Port(), u.Path[1:], port, filepath.Join(dir, "users"), mode, unprepared(t, program))
	for name, text := range map[string]string{"users": users, "ini": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, filepath.Join(dir, "ini"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	asPostgres(t, cmd, dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", at); err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-ended:
			t.Fatalf("pgbouncer ended: %s", &log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("pgbouncer does not listen")
		}
	}
	through := url.URL{Scheme: "postgres", User: u.User, Host: at, Path: "/chat", RawQuery: "sslmode=disable"}
	return through.String()
}

// unprepared returns the setting that turns off the tracking of prepared statements across sessions, which version 1.21 added.
func unprepared(t testing.TB, program string) string {
	t.Helper()
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "PgBouncer %d.%d", &major, &minor); err != nil {
		t.Fatalf("pgbouncer's version: %q", out)
	}
	if major == 1 && minor < 21 {
		return ""
	}
	return "max_prepared_statements = 0"
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// asPostgres makes a program that refuses to run as root run as the user postgres, who becomes the owner of dir.
func asPostgres(t testing.TB, cmd *exec.Cmd, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, name := range []string{dir, filepath.Join(dir, "users"), filepath.Join(dir, "ini")} {
		if err := os.Chown(name, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
