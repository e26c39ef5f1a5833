// Package launch starts the servers that are measured, each as a separate process, and loads them with bench/load.
package launch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running server.
type Server struct {
	Addr   string // host:port
	PID    int
	Cookie string // of a signed-in agent

	lines chan string // its output
	stop  func()
}

var (
	listening = regexp.MustCompile(`\blistening\b.*?(127\.0\.0\.1:\d+)`)
	code      = regexp.MustCompile(`"code":"(\d+)"`)
)

// Build builds packages of this repository, given by the names of their binaries in dir.
func Build(ctx context.Context, dir string, packages map[string]string) error {
	for name, source := range packages {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, name), source)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", source, err, out)
		}
	}
	return nil
}

// Start runs a command, which must print or log the address it listens on, and waits for that.
func Start(ctx context.Context, env []string, command ...string) (*Server, error) {
	ctx, cancel := context.WithCancel(ctx)
	out, in, err := os.Pipe()
	if err != nil {
		cancel()
		return nil, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, in, in
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	err = cmd.Start()
	err = errors.Join(err, in.Close())
	if err != nil {
		cancel()
		return nil, errors.Join(err, out.Close())
	}
	s := &Server{PID: cmd.Process.Pid, lines: make(chan string, 1000)}
	s.stop = func() {
		cancel()
		_ = cmd.Wait() // ends by the signal
	}
	go func() {
		defer close(s.lines)
		defer func() { _ = out.Close() }()
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case s.lines <- scan.Text():
			default: // nothing waits for a line
			}
		}
	}()
	if s.Addr, err = s.logged(ctx, listening); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w", command[0], err)
	}
	return s, nil
}

// Env is the environment of the real binary with data in a folder, or in PostgreSQL if there is an URL.
func Env(dir, database string) []string {
	return []string{"HOST=127.0.0.1", "PORT=0", "DATA_DIR=" + dir, "DATABASE_URL=" + database, "SECRET_KEY=" + strings.Repeat("benchmark", 4),
		"LOG_FORMAT=json", "RATE_LIMIT_MESSAGE=off", "RATE_LIMIT_API=off", "RATE_LIMIT_LOGIN=off"}
}

// Stop ends the server and waits for that.
func (s *Server) Stop() { s.stop() }

// Load runs bench/load's binary on the server and returns its output.
func (s *Server) Load(ctx context.Context, load string, args ...string) ([]byte, error) {
	args = append([]string{"-addr", s.Addr, "-pid", strconv.Itoa(s.PID), "-cookie", s.Cookie}, args...)
	cmd := exec.CommandContext(ctx, load, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, problems.String())
	}
	return out.Bytes(), nil
}

// logged returns the group of the next line that the pattern matches.
func (s *Server) logged(ctx context.Context, pattern *regexp.Regexp) (string, error) {
	limit := time.After(30 * time.Second)
	last := ""
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return "", fmt.Errorf("the server has ended: %s", last)
			}
			last = line
			if m := pattern.FindStringSubmatch(line); m != nil {
				return m[1], nil
			}
		case <-limit:
			return "", fmt.Errorf("the server did not print %v", pattern)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// SignIn signs an agent in with the code from the log, as without a Telegram bot.
func (s *Server) SignIn(ctx context.Context) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	post := func(path, body string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Addr+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %d", path, res.StatusCode)
		}
		return nil
	}
	if err := post("/request-otp", "{}"); err != nil {
		return err
	}
	otp, err := s.logged(ctx, code)
	if err != nil {
		return err
	}
	if err := post("/verify-otp", `{"otp":"`+otp+`"}`); err != nil {
		return err
	}
	var pairs []string
	for _, c := range jar.Cookies(&url.URL{Scheme: "http", Host: s.Addr, Path: "/"}) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	s.Cookie = strings.Join(pairs, "; ")
	return nil
}
