// Command stack measures the whole server: it builds and starts the real binary with a separate database, signs an agent in, and runs
// bench/load's visitors, whose messages are acked once they are durable and copied to the agent.
//
//	go run ./bench/stack [-database postgres://…] [-conns 50] [-depth 8] [-measure 10s]
//
// Run it from the root of the repository. Without -database it uses SQLite in a temporary folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"sohbet/bench/launch"
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
	if err := launch.Build(ctx, dir, map[string]string{"sohbet": ".", "load": "./bench/load"}); err != nil {
		return err
	}
	server, err := launch.Start(ctx, launch.Env(filepath.Join(dir, "data"), *database), filepath.Join(dir, "sohbet"))
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.SignIn(ctx); err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	out, err := server.Load(ctx, filepath.Join(dir, "load"), append([]string{"-mode", *mode}, load...)...)
	fmt.Printf("%s", out)
	return err
}
