// Sohbet is a live chat server for the visitors of a site and its agents, in one binary.
package main

import (
	"context"
	_ "embed"
	"os"
	"os/signal"
	"syscall"

	"sohbet/server/app"
)

// Set by the linker in builds with `make`.
var version, commit, date string

//go:embed LICENSE
var license string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal terminates the process immediately
	os.Exit(app.Main(ctx, app.Build{Version: version, Commit: commit, Date: date, License: license}, os.Args[1:], os.Stdout, os.Stderr))
}
