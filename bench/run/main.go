// Command run measures bench/server (Sohbet) and bench/peer (socket.io on Node and on Bun) in turns with bench/load, takes medians over
// the rounds and writes a table of ratios into bench/README.md. Run it from the root of the repository, as `make bench` does.
//
// Every measurement starts a new server process, so that none is affected by the heap of an earlier one.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
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
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// side is one of the servers under test.
type side struct {
	name string
	cmd  []string
}

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	rounds := fs.Int("rounds", 5, "rounds; medians are taken over them")
	only := fs.String("only", "", "comma-separated names of measurements; then nothing is written into the README")
	readme := fs.String("readme", "bench/README.md", "file whose table section is replaced")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *rounds > 50 {
		return errors.New("rounds must be 1 to 50")
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sohbet-bench.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"server", "load"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, name), "./bench/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building bench/%s: %w\n%s", name, err, out)
		}
	}
	// The package's own link to its binary is made by a script after the installation, which is not run.
	bun, err := filepath.Glob("bench/peer/node_modules/@oven/*/bin/bun")
	if err != nil || len(bun) == 0 {
		return errors.New("bench/peer is not installed: npm ci --prefix bench/peer --ignore-scripts")
	}
	sides := [3]side{
		{"Sohbet", []string{filepath.Join(dir, "server"), "-port", "0"}},
		{"Node", []string{"node", "bench/peer/server.mjs"}},
		{"Bun", []string{bun[0], "bench/peer/server.mjs"}},
	}

	start := time.Now()
	results := make([]series, len(chosen))
	for round := range *rounds {
		for i, m := range chosen {
			for s := range sides {
				fmt.Fprintf(os.Stderr, "%5.0fs  round %d  %-13s %s\n", time.Since(start).Seconds(), round+1, m.name, sides[s].name)
				out, err := sides[s].measure(ctx, filepath.Join(dir, "load"), m)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", m.name, sides[s].name, err)
				}
				results[i][s] = append(results[i][s], out)
			}
		}
	}
	text, err := report(ctx, bun[0], *rounds, chosen, results)
	if err != nil {
		return err
	}
	fmt.Println(text)
	if *only == "" {
		if err := replaceTable(*readme, text); err != nil {
			return err
		}
	}
	return faults(chosen, results)
}

// measure starts the server, runs the load and stops the server. It returns the load generator's JSON object.
func (s side) measure(ctx context.Context, load string, m measurement) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, s.cmd[0], s.cmd[1:]...)
	server.Stderr = os.Stderr
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = 5 * time.Second
	stdout, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer func() {
		cancel()
		_ = server.Wait() // ends by the signal
	}()
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		return nil, fmt.Errorf("the server did not print its address: %q (%w)", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()

	args := append([]string{"-addr", addr, "-pid", strconv.Itoa(server.Process.Pid)}, m.args...)
	cmd := exec.CommandContext(ctx, load, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, problems.String())
	}
	var result map[string]any
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return nil, err
	}
	return result, nil
}
