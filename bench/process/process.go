// Package process runs the real binary for tests that kill it or read its output.
package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
)

var built string // temporary folder of the binary built here

// binary returns the path of the binary: SOHBET_BIN, or one built on first use.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("SOHBET_BIN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "sohbet-binary-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "sohbet")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "sohbet")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// Main runs the tests of a package and removes the built binary. Call it in TestMain: os.Exit(process.Main(m)).
func Main(m *testing.M) int {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built) // a leftover would be in the temporary folder
	}
	return code
}

// Binary returns the path of the binary.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Process is a running server process.
type Process struct {
	Addr string // host:port of its listener

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when its output ends

	mu  sync.Mutex
	log []string
}

// Start runs the binary in dir, which is also its data folder, and waits until it listens. env holds NAME=value pairs. The process is
// killed when the test ends, if it still runs.
func Start(t testing.TB, dir string, env ...string) *Process {
	t.Helper()
	return StartBare(t, dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOST=127.0.0.1", "PORT=0", "DATA_DIR=" + dir, "LOG_FORMAT=json"}, env...)...)
}

// StartBare is like Start with no environment other than env. The log format must be JSON, the default without a terminal.
func StartBare(t testing.TB, dir string, env ...string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: command(context.Background(), t, dir, env), done: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	listening := make(chan string, 1)
	go func() {
		defer close(p.done)
		defer func() { _ = out.Close() }()
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.mu.Lock()
			p.log = append(p.log, lines.Text())
			p.mu.Unlock()
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				listening <- strings.TrimPrefix(line.Address, "http://")
			}
		}
	}()
	select {
	case p.Addr = <-listening:
	case <-p.done:
		t.Fatalf("the server has exited: %s", p.Tail())
	case <-time.After(startTimeout):
		t.Fatalf("the server is not listening: %s", p.Tail())
	}
	return p
}

// Refused runs the binary in dir with no environment other than env, expects it to exit by itself, and returns its exit code and
// output.
func Refused(t testing.TB, dir string, env ...string) (code int, said string) {
	t.Helper()
	return Run(t, dir, env)
}

// Run runs a command of the binary in dir with no environment other than env, and returns its exit code and output.
func Run(t testing.TB, dir string, env []string, args ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	cmd := command(ctx, t, dir, env, args...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("the command did not end: %s", out)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func command(ctx context.Context, t testing.TB, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, Binary(t), args...)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

// ID returns the process id.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Kill kills the process and waits until it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails if the process has already ended
	<-p.done
	_ = p.cmd.Wait() // returns the signal, or that Stop has already waited
}

// Pause suspends the process until Resume.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume continues a paused process.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%v: %v", s, err)
	}
}

// Stop sends SIGTERM, as a service manager does, and fails the test unless the process then ends without an error.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("stop: %v", err)
	}
	select {
	case <-p.done:
		if err := p.cmd.Wait(); err != nil {
			p.t.Errorf("stop: %v: %s", err, p.Tail())
		}
	case <-time.After(stopTimeout):
		p.t.Errorf("the server has not stopped: %s", p.Tail())
	}
}

// CPU returns the user and system time that the process used. It must have ended by Stop or Kill.
func (p *Process) CPU() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// Log returns the lines that the process has written so far.
func (p *Process) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// Tail returns the last ten lines of the log.
func (p *Process) Tail() string {
	log := p.Log()
	return strings.Join(log[max(0, len(log)-10):], "\n")
}

// Memory returns the process's resident set size in bytes.
func (p *Process) Memory() int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// Peak returns the largest resident set size since the last call of Forget, in bytes.
func (p *Process) Peak() int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n << 10
}

// Forget resets Peak (proc(5), clear_refs).
func (p *Process) Forget() {
	p.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0o600); err != nil {
		p.t.Fatal(err)
	}
}
