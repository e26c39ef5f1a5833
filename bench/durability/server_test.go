// Package durability ends the real binary, or its database, in the middle of real traffic and compares what is stored with
// what clients were told.
package durability

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models/storetest"
)

// number reads a count from the environment: CI takes the small one, a person asks for more.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s must be a positive number", name)
	}
	return n
}

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("SOHBET_BIN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "sohbet-durability-")
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

var built string // the folder of a binary built here

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// process is a running server.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	done chan struct{}

	mu  sync.Mutex
	log []string
}

// start runs the binary until it listens. It is killed at the latest when the test ends.
func start(t *testing.T, dataDir, databaseURL string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(path), done: make(chan struct{})}
	p.cmd.Dir = dataDir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOST=127.0.0.1", "PORT=0", "SECRET_KEY=" + storetest.Key, "DATA_DIR=" + dataDir,
		"DATABASE_URL=" + databaseURL, "RATE_LIMIT_MESSAGE=off", "RATE_LIMIT_API=off", "LOG_FORMAT=json"}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	listening := make(chan string, 1)
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
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
	case p.addr = <-listening:
	case <-p.done:
		t.Fatalf("the server ended: %s", p.tail())
	case <-time.After(60 * time.Second):
		t.Fatalf("the server does not listen: %s", p.tail())
	}
	return p
}

// kill ends the process as a power cut would and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // a second time it is gone already
	<-p.done
	_ = p.cmd.Wait() // reports the signal
}

func (p *process) lines() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.log)
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log[max(0, len(p.log)-10):], "\n")
}

// memory is the process's resident set in bytes.
func (p *process) memory() int64 {
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
