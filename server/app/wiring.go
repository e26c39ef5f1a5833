package app

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"sohbet/handlers"
	"sohbet/models"
	"sohbet/server"
	"sohbet/server/agents"
	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/config"
	"sohbet/server/disk"
	"sohbet/server/engine"
	"sohbet/server/jobs"
	"sohbet/server/liveconfig"
	"sohbet/server/media"
	"sohbet/server/metrics"
	"sohbet/server/publish"
	"sohbet/server/push"
	"sohbet/server/realtime"
	"sohbet/server/telegram"
)

// openFiles opens the service for uploaded files.
func openFiles(cfg *config.Config, store *models.Store, space *disk.Space, numbers *metrics.Metrics, log *slog.Logger) (*media.Service, error) {
	return media.New(media.Options{
		Dir: cfg.UploadsDir(), Limit: cfg.UploadDisk, Free: space.Free, Memory: decodeMemory(handlers.MemoryLimit()), Store: store,
		Cloud: account(cfg.Cloudinary), Log: log, Now: store.Now,
		Observe: func(inner http.RoundTripper) http.RoundTripper { return numbers.Transport("cloudinary", inner) },
	})
}

// decodeMemory returns the memory budget for checking uploads in bytes: a fifth of the memory limit, within bounds that fit a large
// photo and limit what unauthenticated clients can use.
func decodeMemory(limit uint64) int64 {
	if limit == 0 {
		return media.DefaultMemory
	}
	return int64(min(max(limit/5, 48<<20), 160<<20))
}

func account(c config.Cloudinary) media.Cloud {
	return media.Cloud{Name: c.CloudName, Key: c.APIKey, Secret: c.APISecret, Prefix: c.UploadPrefix}
}

// workers are background workers; each runs until its context ends.
type workers []func(context.Context)

// parts are the components that the others are built from.
type parts struct {
	build   Build
	cfg     *config.Config
	store   *models.Store
	files   *media.Service
	space   *disk.Space
	broker  Broker
	numbers *metrics.Metrics
	trail   *audit.Log
	level   *slog.LevelVar // level of log
	log     *slog.Logger
}

// Broker connects this process to others that serve the same chat. The components use it through their own interfaces.
type Broker interface {
	publish.Broker
	chat.Presence
	chat.Topics
	agents.Sharer
	models.Invalidator
	handlers.Broker
	ShareLimiter(name string, l broker.Limiter)
	HandOver() time.Duration
	Register(*metrics.Metrics)
	Start(context.Context, broker.Local) error
	Close(context.Context) error
}

// newBroker returns the broker for one process, or for several if REDIS_URL is set and the database is PostgreSQL.
func newBroker(ctx context.Context, cfg *config.Config, store *models.Store, log *slog.Logger) (Broker, error) {
	if cfg.RedisURL == "" || !cfg.Postgres() {
		return &broker.Memory{}, nil
	}
	family, err := store.Family(ctx)
	if err != nil {
		return nil, err
	}
	return broker.NewRedis(broker.Options{URL: cfg.RedisURL, Family: family, Log: log})
}

// wire builds the components between the store and the network.
func (p *parts) wire(ctx context.Context) (*server.Server, workers, error) {
	cfg, store, files, numbers, log := p.cfg, p.store, p.files, p.numbers, p.log
	keys, err := auth.NewKeys(cfg.SecretKeys)
	if err != nil {
		return nil, nil, err
	}
	now, stored := time.Now, store.Now // for durations; for times that other processes read
	limits := server.NewLimits(cfg, now)
	trail := p.trail
	address, https := auth.ClientAddress(cfg.TrustedProxies, cfg.AddressHeader), auth.OverHTTPS(cfg.TrustedProxies)
	base := cfg.BasePath()
	cookies := auth.Cookies{HTTPS: https, Base: base}
	sessions, csrf, known := auth.NewSessions(keys, store, cookies, stored), auth.NewCSRF(keys, cookies), auth.NewTrustedBrowsers(keys, cookies, stored)
	origins := auth.NewOrigins(auth.OriginOptions{Sites: cfg.CORSOrigins, Public: cfg.PublicURL, HTTPS: https, Proxies: cfg.TrustedProxies, SignedIn: sessions.Origin})
	refusals := auth.NewRefusals(store, origins, log, stored)
	owner, err := agents.EnsureOwner(ctx, store, cfg.AdminUsername, cfg.AdminPassword)
	if err != nil {
		return nil, nil, err
	}

	passwords, err := auth.NewPasswords(owner.AdminPasswordHash, now)
	if err != nil {
		return nil, nil, err
	}

	options := realtime.Options{Logger: log, Engine: engine.Options{
		CheckOrigin: refusals.Allowed, AllowOrigin: origins.Listed, RemoteAddr: address, Admit: limits.Admit(address, trail, numbers),
		DisablePolling: !cfg.Polling, DisableWebsocket: !cfg.Websocket, Logger: log,
	}}
	limits.Bound(&options.Engine)
	var events *handlers.Sockets // set below, because it needs components that need the sockets
	options.Allow = func(c *engine.Conn) bool { return events.Allow(c) }
	options.Identify = func(r *http.Request) any { return events.Identify(r) }
	options.Engine.HandOver = p.broker.HandOver()
	limits.EachShared(func(name string, l *auth.Limiter) { p.broker.ShareLimiter(name, l) })
	sockets := realtime.New(options)
	publisher := &publish.Publisher{Sockets: sockets, Broker: p.broker, Log: log}
	presence := agents.NewPresence(agents.PresenceOptions{Agents: store.Agents, Publisher: publisher, Sharer: p.broker, Base: base, Grace: offlineAfter, LastWord: lastWord})
	pusher := push.New(push.Options{Store: store, Viewing: presence.InView, Contact: cfg.PushContact, Base: base, Log: log, Now: stored})
	service := chat.New(chat.Options{
		Store: store, Files: files, Base: base, Publisher: publisher, Presence: p.broker, Topics: p.broker,
		Messages: limits.Messages, Texts: limits.Texts, NewThreads: limits.Threads, Space: p.space,
		OfflineAfter: offlineAfter, Hours: cfg.OpeningHours, Identity: cfg.IdentitySecret, Notifier: pusher, Wrote: presence.Wrote, Audit: trail, AuditRetention: cfg.AuditRetention, Logger: log, Now: stored,
	})
	events = &handlers.Sockets{Chat: service, Presence: presence, Idle: cfg.AgentIdle, Sessions: sessions, Agent: store.Agent, Pages: origins, Consoles: pusher, Events: limits.Events, Audit: trail, Numbers: numbers, Now: stored, Log: log}
	events.Attach(sockets)
	store.OnUnclear(service.Recheck)
	store.OnSessionsEnded(events.SessionsEnded)
	store.OnAgents(func() {
		presence.Changed()
		service.AwayChanged()
	})
	store.SetInvalidator(p.broker)
	p.broker.Register(numbers)
	if err := p.broker.Start(ctx, broker.Local{
		Sockets: sockets, Store: store, Visitors: service, Backfill: publisher.Backfill(service),
		Watched: func() bool { return sockets.Members(publish.AgentsRoom) > 0 },
	}); err != nil {
		return nil, nil, err
	}

	changeable := liveconfig.New(store, cfg)
	changeable.Check = func(next *config.Config) error {
		_, err := lookOf(next)
		return err
	}
	erase := jobs.Erase(store)
	work := jobs.New(jobs.Options{Store: store, Lanes: jobs.Lanes, Publish: service.PublishJob, Log: log, Work: map[string]jobs.Work{
		models.JobClear: erase, models.JobDelete: erase, models.JobClearAll: erase, models.JobCompact: jobs.Compact(store, false),
		models.JobRekey: jobs.Rekey(store), models.JobPrune: service.Prune(func() time.Duration {
			return time.Duration(changeable.Current().RetentionDays) * 24 * time.Hour
		}),
	}})
	store.OnJob(work.Wake)
	background := workers{
		work.Run,
		service.RunRetention,
		service.WatchTeam,
		presence.Run,
		service.RunRechecks,
		pusher.Run,
		files.Run,
		sessions.Run,
		refusals.Run,
		trail.Run,
	}
	var sender auth.CodeSender = auth.LogSender{Log: log}
	var link handlers.Bridge
	via := "log"
	if cfg.Telegram.On() {
		bridge, err := openBridge(cfg.Telegram, cfg.Locale, store, service, files, trail, numbers, log)
		if err != nil {
			return nil, nil, err
		}
		sender, link, via = bridge, bridge, "telegram"
		background = append(background, bridge.Run)
	}

	look, err := lookOf(cfg)
	if err != nil {
		return nil, nil, err
	}
	var provider *auth.OIDC
	if o := cfg.OIDC; o.Issuer != "" {
		provider = auth.NewOIDC(keys, auth.OIDCOptions{
			Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret, Name: o.Name, Public: cfg.PublicURL,
			Observe: func(inner http.RoundTripper) http.RoundTripper { return numbers.Transport("oidc", inner) },
			Log:     log,
		}, cookies, stored)
	}
	load, send := account(cfg.Cloudinary).Origins()
	api := handlers.New(handlers.Options{
		Chat: service, Store: store, Sessions: sessions, CSRF: csrf, TrustedBrowsers: known,
		Codes:        auth.NewCodes(keys, store, sender, known, cookies, stored),
		SecondFactor: auth.NewSecondFactor(keys, store, known, cmp.Or(cfg.Brand.Name, "Sohbet"), cookies, stored),
		OIDC:         provider,
		Passkeys:     auth.NewPasskeys(keys, store, cmp.Or(cfg.Brand.Name, "Sohbet"), cookies, stored),
		Agents:       &agents.Service{Store: store, Passwords: passwords, Status: presence.Of, Base: base},
		LoginLimit:   limits.Login, APILimit: limits.API, UploadLimit: limits.Uploads, Media: files,
		Address: address, Pages: origins, Refusals: refusals, PublicURL: cfg.PublicURL, Base: base, Sockets: sockets.Stats, Numbers: numbers, Audit: trail,
		Push: pusher, Look: look, Settings: changeable, CodeVia: via, Bridge: link, DoctorTokens: keys.DoctorTokens(),
		MediaOrigins: load, UploadOrigins: send, Disk: p.space, Version: p.build.version(), Environment: environment(),
		Broker: p.broker, LogLevel: p.level, Log: log, Now: now,
	})
	background = append(background, api.RecordSamples)
	store.OnSettings((&live{p, changeable, api, service, origins, limits}).apply)
	s, err := server.New(server.Options{
		Host: cfg.Host, Port: cfg.Port, API: api, Sockets: sockets, CSRF: csrf, Address: address, HTTPS: https,
		Connections: limits.Connections, TrustedProxies: cfg.TrustedProxies, Pages: origins, Refusals: refusals, Base: base, Log: log,
	})
	return s, background, err
}

// openBridge returns the Telegram bridge.
func openBridge(t config.Telegram, locale string, store *models.Store, service *chat.Service, files *media.Service, trail *audit.Log, numbers *metrics.Metrics, log *slog.Logger) (*telegram.Bridge, error) {
	var pace telegram.Pace
	if t.Rate != nil {
		pace = telegram.Pace{Count: t.Rate.Count, Per: t.Rate.Per, Off: t.Rate.Off()}
	}
	return telegram.New(telegram.Options{
		Token: t.BotToken, ChatID: t.ChatID, APIURL: t.APIURL, WebhookURL: t.WebhookURL, Locale: locale, Pace: pace,
		TopicAssignees: t.TopicAssignees, RefuseUnlinked: t.RefuseUnlinked,
		Store: store, Chat: service, Media: files, Audit: trail, Log: log, Now: time.Now,
		Observe: func(inner http.RoundTripper) http.RoundTripper { return numbers.Transport("telegram", inner) },
	})
}

var _ server.Sockets = (*realtime.Server)(nil)
var _ http.Handler = (*server.Server)(nil)
