// Sohbet is live chat between the visitors of a site and its agents, in one program.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/mattn/go-isatty"

	"sohbet/handlers"
	"sohbet/models"
	"sohbet/server"
	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/commands"
	"sohbet/server/config"
	"sohbet/server/engine"
	"sohbet/server/logging"
	"sohbet/server/media"
	"sohbet/server/metrics"
	"sohbet/server/realtime"
	"sohbet/server/telegram"
)

// Set by the linker when `make` builds; otherwise what Go noted of the checkout is told.
var version, commit, date string

const (
	slowQuery    = 200 * time.Millisecond
	databaseWait = 2 * time.Minute
	offlineAfter = 10 * time.Second // longer than a reload or a change of network takes
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return commands.Run(ctx, commands.Program{Serve: serve, Version: buildLine()}, args, stdout, stderr)
}

// serve wires the parts together, from the store up to the server, and takes them down again when ctx ends.
func serve(ctx context.Context, stdout, stderr io.Writer) (err error) {
	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return err
	}
	terminal := isTerminal(stderr)
	level := changing(cfg.LogLevel)
	var reporters []logging.Reporter
	if cfg.SentryDSN != "" {
		sentry, err := logging.NewSentry(cfg.SentryDSN, buildVersion(), environment())
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
	// A container's limit ends the process, so the collector works harder before it is reached.
	if _, err := memlimit.Set(); err != nil && !errors.Is(err, memlimit.ErrNoLimit) {
		log.Debug("no memory limit was taken from the container", "error", err)
	}
	created, err := cfg.Prepare()
	if err != nil {
		return err
	}
	if created {
		log.Info("made a secret key", "folder", cfg.DataDir)
	}

	var files *media.Service // made of the store, and called by it once the server runs
	store, err := models.Open(ctx, models.Options{URL: cfg.DatabaseURL, Keys: cfg.SecretKeys, Logger: log, SlowQuery: slowQuery, CacheTTL: cfg.CacheTTL, Wait: databaseWait,
		Removed: func(urls []string) { files.Remove(urls) }, Telegram: cfg.Telegram.On()})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer func() { err = errors.Join(err, closing("database", store.Close())) }()

	if files, err = openFiles(cfg, store, log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing("uploads folder", files.Close())) }()

	s, house, err := wire(cfg, store, files, level, log)
	if err != nil {
		return err
	}
	url, err := s.Listen(ctx)
	if err != nil {
		return err
	}
	log.Info("listening", "address", url, "version", buildVersion(), "database", store.Dialect())
	if terminal {
		welcome(stdout, url, cfg)
	}
	keeping, leave := context.WithCancel(ctx)
	var under sync.WaitGroup
	for _, chore := range house {
		under.Go(func() { chore(keeping) })
	}
	defer under.Wait()
	defer leave()
	return s.Serve(ctx)
}

// changing is a level that agents may change at run time.
func changing(level slog.Level) *slog.LevelVar {
	v := new(slog.LevelVar)
	v.Set(level)
	return v
}

// openFiles opens the folder of uploaded files.
func openFiles(cfg *config.Config, store *models.Store, log *slog.Logger) (*media.Service, error) {
	return media.New(media.Options{
		Dir: cfg.UploadsDir(), Limit: cfg.UploadDisk, Free: handlers.DiskFree(cfg.DataDir), Store: store,
		Cloud: account(cfg.Cloudinary), Log: log, Now: time.Now,
	})
}

func account(c config.Cloudinary) media.Cloud {
	return media.Cloud{Name: c.CloudName, Key: c.APIKey, Secret: c.APISecret, Prefix: c.UploadPrefix}
}

// chores are what goes on beside answering; each ends with its context.
type chores []func(context.Context)

// wire builds what stands between the store and the network.
func wire(cfg *config.Config, store *models.Store, files *media.Service, level *slog.LevelVar, log *slog.Logger) (*server.Server, chores, error) {
	keys, err := auth.NewKeys(cfg.SecretKeys)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now
	limits := server.NewLimits(cfg, now)
	trail, numbers := audit.New(log, now), metrics.New(now)
	address, https := auth.ClientAddress(cfg.TrustedProxies), auth.OverHTTPS(cfg.TrustedProxies)
	origins := auth.Origins(cfg.CORSOrigins)
	sessions, csrf, known := auth.NewSessions(keys, store, https, now), auth.NewCSRF(keys, https), auth.NewKnown(keys, https, now)
	password, err := auth.NewPassword(cfg.AdminUsername, cfg.AdminPassword, now)
	if err != nil {
		return nil, nil, err
	}

	sockets := realtime.New(realtime.Options{Logger: log, Engine: engine.Options{
		CheckOrigin: origins.Allowed, AllowOrigin: origins.Listed, RemoteAddr: address, Admit: limits.Admit(address, trail, numbers), Logger: log,
	}})
	room := chat.New(chat.Options{
		Store: store, Files: files, Publisher: &handlers.Publisher{Realtime: sockets, Log: log},
		Messages: limits.Messages, NewThreads: limits.Threads,
		OfflineAfter: offlineAfter, Audit: trail, Logger: log, Now: now,
	})
	events := &handlers.Sockets{Chat: room, Sessions: sessions, Events: limits.Events, Audit: trail, Numbers: numbers, Now: now, Log: log}
	events.Attach(sockets)
	store.OnSessionsEnded(events.SessionsEnded)

	beside := chores{
		func(ctx context.Context) { room.KeepHouse(ctx, time.Duration(cfg.RetentionDays)*24*time.Hour) },
		room.WatchAway,
		files.Run,
		sessions.Run,
	}
	var sender auth.CodeSender = auth.LogSender{Log: log}
	var link handlers.Bridge
	via := "log"
	if cfg.Telegram.On() {
		bridge, err := openBridge(cfg.Telegram, cfg.Locale, store, room, files, numbers, log)
		if err != nil {
			return nil, nil, err
		}
		sender, link, via = bridge, bridge, "telegram"
		beside = append(beside, bridge.Run)
	}

	load, send := account(cfg.Cloudinary).Origins()
	api := handlers.New(handlers.Options{
		Chat: room, Store: store, Sessions: sessions, CSRF: csrf, Known: known,
		Codes:      auth.NewCodes(keys, store, sender, known, https, now),
		Password:   password,
		LoginLimit: limits.Login, APILimit: limits.API, UploadLimit: limits.Uploads, Media: files,
		Address: address, Sockets: sockets.Stats, Numbers: numbers, Audit: trail,
		AgentName: cfg.AdminUsername, CodeVia: via, Bridge: link, MetricsToken: cfg.MetricsToken, Locale: cfg.Locale,
		Origins: cfg.CORSOrigins, MediaOrigins: load, UploadOrigins: send, DataDir: cfg.DataDir, Version: buildVersion(), Environment: environment(),
		LogLevel: level, Log: log, Now: now,
	})
	beside = append(beside, api.KeepHistory)
	s, err := server.New(server.Options{
		Host: cfg.Host, Port: cfg.Port, API: api, Sockets: sockets, CSRF: csrf, Address: address, HTTPS: https,
		Origins: cfg.CORSOrigins, Log: log,
	})
	return s, beside, err
}

// openBridge makes the bridge to Telegram.
func openBridge(t config.Telegram, locale string, store *models.Store, room *chat.Service, files *media.Service, numbers *metrics.Metrics, log *slog.Logger) (*telegram.Bridge, error) {
	var pace telegram.Pace
	if t.Rate != nil {
		pace = telegram.Pace{Count: t.Rate.Count, Per: t.Rate.Per, Off: t.Rate.Off()}
	}
	return telegram.New(telegram.Options{
		Token: t.BotToken, ChatID: t.ChatID, APIURL: t.APIURL, WebhookURL: t.WebhookURL, Locale: locale, Pace: pace,
		Store: store, Chat: room, Media: files, Log: log, Now: time.Now,
		Observe: func(inner http.RoundTripper) http.RoundTripper { return numbers.Transport("telegram", inner) },
	})
}

// welcome tells a person at a terminal where to go.
func welcome(w io.Writer, url string, cfg *config.Config) {
	where := "appears here"
	if cfg.Telegram.On() {
		where = "comes to your Telegram chat"
	}
	how := "ask for a code there; it " + where
	if cfg.AdminPassword != "" {
		how = "user name " + cfg.AdminUsername + " and your password; the code then " + where
	}
	_, _ = fmt.Fprintf(w, "\n  Sohbet is running.\n    Chat page    %s/\n    Agents       %s/login  (%s)\n    Stop         Ctrl-C\n\n",
		url, url, how) // a terminal that went away stops nothing
}

func closing(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("close the %s: %w", what, err)
}

// buildVersion is the version this program was built as.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// buildLine is the version with the commit and its date.
func buildLine() string {
	commit, date := commit, date
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && commit == "":
				commit = s.Value
			case s.Key == "vcs.time" && date == "":
				date = s.Value
			}
		}
	}
	return fmt.Sprintf("%s (commit %s, %s, %s)", buildVersion(), cmp.Or(commit, "unknown"), cmp.Or(date, "date unknown"), runtime.Version())
}

// environment is what /health reports: the platform's word for it, or whether a person looks on.
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

var _ server.Sockets = (*realtime.Server)(nil)
var _ http.Handler = (*server.Server)(nil)
