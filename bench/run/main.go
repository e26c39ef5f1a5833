// Command run measures Sohbet and its peers on this machine in turns with bench/load, takes medians over the rounds, and writes the tables
// into bench/README.md:
//
//   - the realtime layer (bench/server) against socket.io on Node and on Bun (bench/peer)
//   - the whole chat against the same chat written on socket.io and pg (bench/peer/chat.mjs)
//   - the start of the program
//   - with -growth instead of these: how the cost grows with connections, stored messages and processes
//
// Run it from the root of the repository by .ci/services with FSYNC=on, as `make bench` does. SOHBET_BIN names a binary to use instead of
// building one, and SOHBET_BINARIES ("name=path …") others whose start is measured too.
//
// Every measurement starts a new server process, so that none is affected by the heap of an earlier one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sohbet/bench/launch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the tables share.
type bench struct {
	dir      string // temporary folder, which has the binaries
	bun      string // path of Bun's binary
	binary   string // path of the real binary, once built
	postgres *postgres
}

func run(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	rounds := fs.Int("rounds", 5, "rounds; medians are taken over them")
	only := fs.String("only", "", "comma-separated names of measurements; then nothing is written into the README")
	growing := fs.Bool("growth", false, "measure how the cost grows instead")
	readme := fs.String("readme", "bench/README.md", "file whose tables are replaced")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *rounds > 50 {
		return errors.New("rounds must be 1 to 50")
	}
	b := &bench{}
	if b.dir, err = os.MkdirTemp("", "sohbet-bench."); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := launch.Build(ctx, b.dir, map[string]string{"load": "./bench/load", "server": "./bench/server"}); err != nil {
		return err
	}
	all := []table{b.realtime(), b.chat(), b.start()}
	if *growing {
		all = []table{b.connections(), b.stored(), b.processes()}
	}
	chosen, err := choose(all, *only)
	if err != nil {
		return err
	}

	start := time.Now()
	var lost []error
	for _, t := range chosen {
		if t.prepare != nil {
			if err := t.prepare(ctx); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		results := make([]series, len(t.measurements))
		for i := range results {
			results[i] = make(series, len(t.sides))
		}
		for round := range *rounds {
			for i, m := range t.measurements {
				for s, side := range t.sides {
					fmt.Fprintf(os.Stderr, "%5.0fs  round %d  %-13s %s\n", time.Since(start).Seconds(), round+1, m.name, side.name)
					out, err := side.measured(ctx, m)
					if err != nil {
						return fmt.Errorf("%s, %s: %w", m.name, side.name, err)
					}
					results[i][s] = append(results[i][s], out)
				}
			}
		}
		text, err := b.report(ctx, t, *rounds, results)
		if err != nil {
			return err
		}
		fmt.Println(text)
		if *only == "" {
			if err := replaceTable(*readme, t.name, text); err != nil {
				return err
			}
		}
		lost = append(lost, faults(t, results))
	}
	return errors.Join(lost...)
}

// measured is one measurement of one side, within a time.
func (s side) measured(ctx context.Context, m measurement) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return s.measure(ctx, m)
}

// load runs bench/load on a server.
func (b *bench) load(ctx context.Context, server *launch.Server, args ...string) (map[string]any, error) {
	out, err := server.Load(ctx, filepath.Join(b.dir, "load"), args...)
	if err != nil {
		return nil, err
	}
	return decoded(out)
}

func decoded(out []byte) (result map[string]any, err error) {
	err = json.Unmarshal(out, &result)
	return result, err
}

// peers finds Bun's binary. The package's own link to it is made by a script after the installation, which is not run.
func (b *bench) peers(context.Context) error {
	bun, err := filepath.Glob("bench/peer/node_modules/@oven/*/bin/bun")
	if err != nil || len(bun) == 0 {
		return errors.New("bench/peer is not installed: npm ci --prefix bench/peer --ignore-scripts")
	}
	b.bun = bun[0]
	return nil
}

// whole builds the real binary.
func (b *bench) whole(ctx context.Context) error {
	if b.binary = os.Getenv("SOHBET_BIN"); b.binary != "" {
		return nil
	}
	b.binary = filepath.Join(b.dir, "sohbet")
	if out, err := exec.CommandContext(ctx, "make", "build", "BIN="+b.binary).CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w\n%s", err, out)
	}
	return nil
}

// sohbet starts the real binary with an agent signed in, on SQLite in a folder or on PostgreSQL if there is a URL.
func (b *bench) sohbet(ctx context.Context, dir, database string) (*launch.Server, error) {
	server, err := launch.Start(ctx, launch.Env(dir, database), b.binary)
	if err != nil {
		return nil, err
	}
	if err := server.SignIn(ctx); err != nil {
		server.Stop()
		return nil, fmt.Errorf("signing in: %w", err)
	}
	return server, nil
}

func choose(all []table, only string) ([]table, error) {
	if only == "" {
		return all, nil
	}
	names := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		names[name] = true
	}
	var chosen []table
	for _, t := range all {
		var some []measurement
		for _, m := range t.measurements {
			if names[m.name] {
				some = append(some, m)
				delete(names, m.name)
			}
		}
		if t.measurements = some; len(some) > 0 {
			chosen = append(chosen, t)
		}
	}
	for name := range names {
		return nil, fmt.Errorf("no measurement %q", name)
	}
	return chosen, nil
}
