// Package app assembles the program: settings, store, files, chat, Telegram and server, and the command line in front. Its tests test
// the whole program.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/mattn/go-isatty"

	"sohbet/models"
	"sohbet/server/audit"
	"sohbet/server/backup"
	"sohbet/server/commands"
	"sohbet/server/config"
	"sohbet/server/disk"
	"sohbet/server/lock"
	"sohbet/server/logging"
	"sohbet/server/media"
	"sohbet/server/metrics"
)

const (
	smallMemory  = 1 << 30 // bytes; a container with less counts as small
	slowQuery    = 200 * time.Millisecond
	databaseWait = 2 * time.Minute
	// brokerTimeout is how long a process that shuts down tries to send its queued packets to the others.
	brokerTimeout = time.Second
	lastWord      = 10 * time.Minute // for which an agent who wrote in Telegram counts as online
	offlineAfter  = 10 * time.Second // longer than a page reload or a change of network takes
)

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, b Build, args []string, stdout, stderr io.Writer) int {
	return commands.Run(ctx, commands.Program{Serve: b.serve, Version: b.version(), VersionLine: b.line(), License: b.License}, args, stdout, stderr)
}

// serve assembles and runs the server, and shuts it down when ctx ends.
func (b Build) serve(ctx context.Context, stdout, stderr io.Writer, force bool) (err error) {
	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return err
	}
	terminal := isTerminal(stderr)
	level := changing(cfg.LogLevel)
	var reporters []logging.Reporter
	if cfg.SentryDSN != "" {
		sentry, err := logging.NewSentry(cfg.SentryDSN, b.version(), environment())
		if err != nil {
			return err
		}
		defer sentry.Close()
		reporters = append(reporters, sentry)
	}
	log := logging.New(stderr, level, cfg.LogFormat == "json" || (cfg.LogFormat == "" && !terminal), reporters...)
	for _, warning := range cfg.Warnings {
		log.Warn(warning)
	}
	// Exceeding a container's memory limit kills the process, so the garbage collector runs more often near the limit.
	if _, err := memlimit.Set(); err != nil && !errors.Is(err, memlimit.ErrNoLimit) {
		log.Debug("no memory limit detected", "error", err)
	}
	pace := func(context.Context) {}
	switch limit := debug.SetMemoryLimit(-1); {
	case os.Getenv("GOGC") != "":
	case limit < smallMemory:
		debug.SetGCPercent(50) // garbage takes at most half as much memory as live data, instead of the same amount
	default:
		pace = paceGC
	}
	created, err := cfg.Prepare()
	if err != nil {
		return err
	}
	if created {
		log.Info("generated a secret key", "folder", cfg.DataDir)
	}

	held, unlocked := lockFiles(cfg, log)
	if second := (*lock.HeldError)(nil); errors.As(unlocked, &second) {
		return second
	}
	defer func() { err = errors.Join(err, closing("lock", held.Close())) }()

	var files *media.Service // needs the store, which calls it once the server runs
	missing := models.RefuseMissingKeys
	if force {
		missing = models.AcceptMissingKeys
	}
	store, err := models.Open(ctx, models.Options{URL: cfg.DatabaseURL, Keys: cfg.SecretKeys, MissingKeys: missing, Logger: log, SlowQuery: slowQuery, CacheTTL: cfg.CacheTTL, Wait: databaseWait,
		Removed: func(urls []string) { files.Remove(urls) }, Telegram: cfg.Telegram.On(), TopicAssignees: cfg.Telegram.TopicAssignees})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer func() { err = errors.Join(err, closing("database", store.Close())) }()
	if unlocked != nil { // after opening the store, whose error about a missing folder or permission is more specific
		return unlocked
	}

	if err := backup.Sweep(ctx, cfg.UploadsDir(), store, log); err != nil {
		log.Error("cannot remove what a killed command left", "error", err)
	}

	numbers := metrics.New(time.Now)
	space := disk.New(disk.Options{Dir: cfg.DataDir, Floor: cfg.MinFree, Spare: store.Spare})
	if files, err = openFiles(cfg, store, space, numbers, log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing("uploads folder", files.Close())) }()

	link, err := newBroker(ctx, cfg, store, log)
	if err != nil {
		return err
	}
	defer func() { // the server has stopped, so nothing new is stored; what was stored is published, and the store closes last
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerTimeout)
		defer cancel()
		err = errors.Join(err, closing("connection to Redis", link.Close(ctx)))
	}()

	trail := audit.New(log, time.Now, store)
	defer func() { // everything that writes to it has stopped
		if lost := trail.Close(); lost != nil {
			log.Error("failed to store the last rows of the audit log", "error", lost)
		}
	}()

	s, background, err := (&parts{b, cfg, store, files, space, link, numbers, trail, level, log}).wire(ctx)
	if err != nil {
		return err
	}
	url, err := s.Listen(ctx)
	if err != nil {
		return err
	}
	held.Note(url)
	log.Info("listening", "address", url, "version", b.version(), "database", store.Dialect())
	if terminal {
		welcome(stdout, cmp.Or(cfg.PublicURL, url), cfg)
	}
	backgroundCtx, stopBackground := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, work := range append(background, pace) {
		running.Go(func() { work(backgroundCtx) })
	}
	defer running.Wait()
	defer stopBackground()
	return s.Serve(ctx)
}

// lockFiles prevents a second process from using the files of an SQLite database.
func lockFiles(cfg *config.Config, log *slog.Logger) (*lock.Lock, error) {
	held, err := lock.Take(cfg.LockFiles()...)
	if errors.Is(err, lock.ErrUnsupported) {
		log.Warn("cannot lock the data folder; do not start a second process on it", "error", err)
		err = nil
	}
	if held == nil {
		held = &lock.Lock{}
	}
	return held, err
}

// changing returns a log level that agents may change at runtime.
func changing(level slog.Level) *slog.LevelVar {
	v := new(slog.LevelVar)
	v.Set(level)
	return v
}

func closing(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("close the %s: %w", what, err)
}

// welcome prints the server's addresses for a user at a terminal.
func welcome(w io.Writer, url string, cfg *config.Config) {
	how := "ask for a code there; it appears here"
	switch telegram := cfg.Telegram.On(); {
	case telegram && cfg.AdminPassword != "":
		how = "user name %s and your password; the code then comes to your Telegram chat"
	case cfg.AdminPassword != "":
		how = "user name %s and your password; the code then appears here"
	case telegram:
		how = "ask for a code there; it comes to your Telegram chat"
	}
	how = commands.Text(how)
	if cfg.AdminPassword != "" {
		how = fmt.Sprintf(how, cfg.AdminUsername)
	}
	_, _ = fmt.Fprintf(w, commands.Text("\n  Sohbet is running.\n    Chat page    %s/\n    Agents       %s/login  (%s)\n    Stop         Ctrl-C\n\n"),
		url, url, how) // an error of the terminal must not stop the server
}

// environment returns what /health reports: the name set by the hosting platform, or whether the program runs at a terminal.
func environment() string {
	if name := os.Getenv("RAILWAY_ENVIRONMENT_NAME"); name != "" {
		return name
	}
	if isTerminal(os.Stderr) {
		return "development"
	}
	return "production"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
