// Command stack measures the whole server: it builds and starts the real binary with a separate database, signs an agent in, and runs
// bench/load's visitors, whose messages are acked once they are durable and copied to the agent.
//
//	go run ./bench/stack [-database postgres://…] [-conns 50] [-depth 8] [-measure 10s]
//
// Run it from the root of the repository. Without -database it uses SQLite in a temporary folder.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("stack", flag.ContinueOnError)
	database := fs.String("database", "", "postgres:// URL of an empty database; SQLite without it")
	mode := fs.String("mode", "messages", "messages, visitors or heartbeats: the mode of bench/load")
	var load []string
	for name, usual := range map[string]string{"conns": "50", "depth": "8", "warm": "2s", "measure": "10s", "settle": "0s"} {
		fs.Func(name, "passed to bench/load ("+usual+")", func(v string) error { load = append(load, "-"+name, v); return nil })
		load = append([]string{"-" + name, usual}, load...)
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sohbet-stack.")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, source := range map[string]string{"sohbet": ".", "load": "./bench/load"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, name), source)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := exec.CommandContext(ctx, filepath.Join(dir, "sohbet"))
	server.Dir = dir
	server.Env = []string{"HOST=127.0.0.1", "PORT=0", "DATA_DIR=" + filepath.Join(dir, "data"), "DATABASE_URL=" + *database,
		"SECRET_KEY=" + strings.Repeat("benchmark", 4), "LOG_FORMAT=json",
		"RATE_LIMIT_MESSAGE=off", "RATE_LIMIT_API=off", "RATE_LIMIT_LOGIN=off"}
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = 10 * time.Second
	stderr, err := server.StderrPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		cancel()
		_ = server.Wait() // ends by the signal
	}()
	log := newLog(stderr)
	address, err := log.wait(ctx, "address")
	if err != nil {
		return err
	}
	cookie, err := signIn(ctx, address, log)
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	load = append([]string{"-addr", strings.TrimPrefix(address, "http://"), "-pid", strconv.Itoa(server.Process.Pid),
		"-mode", *mode, "-cookie", cookie}, load...)
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "load"), load...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// serverLog extracts values from the server's log.
type serverLog struct{ lines chan map[string]any }

func newLog(r io.Reader) *serverLog {
	l := &serverLog{make(chan map[string]any, 16)}
	go func() {
		defer close(l.lines)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			var line map[string]any
			if json.Unmarshal(scan.Bytes(), &line) != nil {
				continue
			}
			select {
			case l.lines <- line:
			default: // no call of wait needs it
			}
		}
	}()
	return l
}

// wait returns the value of the next log field with this name.
func (l *serverLog) wait(ctx context.Context, name string) (string, error) {
	limit := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-l.lines:
			if value, is := line[name].(string); is {
				return value, nil
			}
			if !ok {
				return "", errors.New("the server has ended")
			}
		case <-limit:
			return "", fmt.Errorf("the server's log has no field %s", name)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// signIn returns an agent's cookie, using the sign-in code from the log, as without a Telegram bot.
func signIn(ctx context.Context, address string, log *serverLog) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	post := func(path, body string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+path, strings.NewReader(body))
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
		return "", err
	}
	code, err := log.wait(ctx, "code")
	if err != nil {
		return "", err
	}
	if err := post("/verify-otp", `{"otp":"`+code+`"}`); err != nil {
		return "", err
	}
	at, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	var pairs []string
	for _, c := range jar.Cookies(at) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; "), nil
}
