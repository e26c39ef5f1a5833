// Sohbet is live chat between the visitors of a site and its agents, in one program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

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
	"sohbet/server/media"
	"sohbet/server/realtime"
)

// version is set when a release is built; otherwise the module's own is told.
var version = ""

const (
	slowQuery    = 200 * time.Millisecond
	databaseWait = 2 * time.Minute
	offlineAfter = 10 * time.Second // longer than a reload or a change of network takes
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sohbet: "+strings.ReplaceAll(err.Error(), "\n", "\nsohbet: "))
		os.Exit(1)
	}
}

// run reads the command line; everything but serving is done at once.
func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("sohbet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "Usage:\n  sohbet            serve; settings come from the environment or ./"+config.FileName+
			"\n  sohbet version    tell the version\n  sohbet settings   list every setting, as an example of that file\n"+
			"  sohbet doctor     check settings, database and Telegram, and tell how to cure what is wrong\n"+
			"  sohbet rekey      encrypt all messages with the first key of SECRET_KEY; the server may run\n"+
			"  sohbet backup FILE           put database and uploads into FILE; the server may run\n"+
			"  sohbet restore [-force] FILE bring them back; stop the server first. -force replaces what is there\n")
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return fmt.Errorf("command line: %w", err)
	}
	switch command := flags.Arg(0); command {
	case "":
		return serve(stdout, stderr)
	case "version":
		_, err := fmt.Fprintln(stdout, "sohbet", buildVersion())
		return err
	case "settings":
		return config.WriteExample(stdout)
	case "doctor":
		return commands.Doctor(stdout, stderr)
	case "rekey":
		return commands.Rekey(stdout, stderr)
	case "backup", "restore":
		return commands.Archive(command, flags.Args()[1:], stdout, stderr)
	case "help":
		flags.SetOutput(stdout)
		flags.Usage()
		return nil
	default:
		return fmt.Errorf("there is no command %q; sohbet help lists them", command)
	}
}

// serve wires the parts together, from the store up to the server, and takes them down again when a signal comes. A second
// signal ends the process at once.
func serve(stdout, stderr io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return err
	}
	terminal := isTerminal(stderr)
	log := server.NewLogger(stderr, cfg.LogLevel, cfg.LogFormat == "json" || (cfg.LogFormat == "" && !terminal))
	for _, warning := range cfg.Warnings {
		log.Warn(warning)
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
		Removed: func(urls []string) { files.Remove(urls) }})
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer func() { err = errors.Join(err, closing("database", store.Close())) }()

	if files, err = openFiles(cfg, store, log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing("uploads folder", files.Close())) }()

	s, room, err := wire(cfg, store, files, log)
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
	var house sync.WaitGroup
	house.Go(func() { room.KeepHouse(keeping, time.Duration(cfg.RetentionDays)*24*time.Hour) })
	house.Go(func() { room.WatchAway(keeping) })
	house.Go(func() { files.Run(keeping) })
	defer house.Wait()
	defer leave()
	return s.Serve(ctx)
}

// openFiles opens the folder of uploaded files.
func openFiles(cfg *config.Config, store *models.Store, log *slog.Logger) (*media.Service, error) {
	return media.New(media.Options{
		Dir: cfg.UploadsDir(), Limit: cfg.UploadDisk, Free: handlers.DiskFree(cfg.DataDir), Store: store, Log: log, Now: time.Now,
	})
}

// wire builds what stands between the store and the network.
func wire(cfg *config.Config, store *models.Store, files *media.Service, log *slog.Logger) (*server.Server, *chat.Service, error) {
	keys, err := auth.NewKeys(cfg.SecretKeys)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now
	limiter := func(r config.Rate) *auth.Limiter { return auth.NewLimiter(r.Count, r.Per, now) }
	trail := audit.New(log, now)
	address, https := auth.ClientAddress(cfg.TrustedProxies), auth.OverHTTPS(cfg.TrustedProxies)
	origins := auth.Origins(cfg.CORSOrigins)
	sessions, csrf := auth.NewSessions(keys, https, now), auth.NewCSRF(keys, https)

	sockets := realtime.New(realtime.Options{Logger: log, Engine: engine.Options{
		CheckOrigin: origins.Allowed, AllowOrigin: origins.Listed, RemoteAddr: address, Logger: log,
	}})
	room := chat.New(chat.Options{
		Store: store, Files: files, Publisher: &handlers.Publisher{Realtime: sockets, Log: log},
		Messages: limiter(cfg.MessageLimit), NewThreads: limiter(cfg.APILimit),
		OfflineAfter: offlineAfter, Audit: trail, Logger: log, Now: now,
	})
	(&handlers.Sockets{Chat: room, Sessions: sessions, Audit: trail, Now: now, Log: log}).Attach(sockets)

	api := handlers.New(handlers.Options{
		Chat: room, Store: store, Sessions: sessions, CSRF: csrf,
		Codes:      auth.NewCodes(keys, store, auth.LogSender{Log: log}, https, now),
		Password:   auth.NewPassword(cfg.AdminUsername, cfg.AdminPassword),
		LoginLimit: limiter(cfg.LoginLimit), APILimit: limiter(cfg.APILimit),
		Address: address, Sockets: sockets.Count, Audit: trail,
		AgentName: cfg.AdminUsername, CodeVia: "log", MetricsToken: cfg.MetricsToken, Locale: cfg.Locale,
		Origins: cfg.CORSOrigins, DataDir: cfg.DataDir, Version: buildVersion(), Environment: environment(),
		Log: log, Now: now,
	})
	s, err := server.New(server.Options{
		Host: cfg.Host, Port: cfg.Port, API: api, Sockets: sockets, CSRF: csrf, Address: address, HTTPS: https,
		Origins: cfg.CORSOrigins, Log: log,
	})
	return s, room, err
}

// welcome tells a person at a terminal where to go.
func welcome(w io.Writer, url string, cfg *config.Config) {
	how := "ask for a code there; it appears here"
	if cfg.AdminPassword != "" {
		how = "user name " + cfg.AdminUsername + " and your password; the code then appears here"
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
