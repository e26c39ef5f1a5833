// Package process runs the real binary for tests that end it, or read everything it says.
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
	"slices"
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

var built string // the folder of a binary built here

// binary is SOHBET_BIN, or built once.
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

// Main runs the tests of a package and removes what was built for them: os.Exit(process.Main(m)) in TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built) // in the folder for such things anyway
	}
	return code
}

// Process is a running server.
type Process struct {
	Addr string // host:port that it listens on

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed at the end of both its outputs

	mu  sync.Mutex
	log []string
}

// Start runs the binary in dir, which is its data folder too, until it listens. env is NAME=value. It is killed at the latest
// when the test ends.
func Start(t testing.TB, dir string, env ...string) *Process {
	t.Helper()
	return StartBare(t, dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOST=127.0.0.1", "PORT=0", "DATA_DIR=" + dir, "LOG_FORMAT=json"}, env...)...)
}

// StartBare is Start with nothing in the environment but env. The log has to be JSON, as it is where nobody looks on.
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
		t.Fatalf("the server ended: %s", p.Tail())
	case <-time.After(startTimeout):
		t.Fatalf("the server does not listen: %s", p.Tail())
	}
	return p
}

// Refused runs the binary in dir, with nothing in the environment but env, where it is to end by itself, and returns its exit
// code and what it said.
func Refused(t testing.TB, dir string, env ...string) (code int, said string) {
	t.Helper()
	return Run(t, dir, env)
}

// Run runs one of the binary's commands in dir, with nothing in the environment but env, and returns its exit code and what it said.
func Run(t testing.TB, dir string, env []string, args ...string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	cmd := command(ctx, t, dir, env, args...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("it goes on: %s", out)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func command(ctx context.Context, t testing.TB, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

// ID is the process's number.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Kill ends the process as a power cut would and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // a second time it is gone already
	<-p.done
	_ = p.cmd.Wait() // reports the signal, or that Stop waited already
}

// Pause stops the process where it is, as a machine that is suspended does, until Resume.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%v: %v", s, err)
	}
}

// Stop asks the process to end, as a service manager does, and fails the test if it does not, or ends with an error.
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
		p.t.Errorf("the server does not stop: %s", p.Tail())
	}
}

// Log is everything that it wrote so far, by line.
func (p *Process) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// Tail is the last ten lines of it.
func (p *Process) Tail() string {
	log := p.Log()
	return strings.Join(log[max(0, len(log)-10):], "\n")
}

// Memory is the process's resident set in bytes.
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

// Peak is the most memory that the process had resident since the last call of Forget, in bytes.
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

// Forget begins a new Peak (proc(5), clear_refs).
func (p *Process) Forget() {
	p.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// AtRest waits until the server has made its files ready, which takes memory for a moment, and returns what it takes then.
func (p *Process) AtRest() int64 {
	p.t.Helper()
	deadline := time.After(startTimeout)
	for !slices.ContainsFunc(p.Log(), func(line string) bool { return strings.Contains(line, "compressed the page assets") }) {
		select {
		case <-deadline:
			p.t.Fatal("the server does not come to rest")
		case <-time.After(50 * time.Millisecond):
		}
	}
	return p.Memory()
}
