package server

import (
	"net/http"
	"runtime/debug"
	"time"

	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/config"
	"sohbet/server/engine"
	"sohbet/server/metrics"
)

// Limits are all rate limits, derived from four settings. A setting's value applies to one visitor or one address, the other tiers are
// multiples: an address may be a company or a school behind one NAT, so it gets the needs of many visitors; the total is close to what
// one server can handle, so that a flood from many addresses is stopped here and not by the database. "off" disables all tiers of a
// setting.
type Limits struct {
	Messages auth.Tiers // messages of visitors
	Texts    auth.Tiers // kilobytes of text that visitors store; each write counts at least one
	Threads  auth.Tiers // new conversations
	API      auth.Tiers // requests to /api
	Events   auth.Tiers // socket events, including messages
	Uploads  auth.Tiers // uploaded files
	Login    *auth.Limiter
	Sockets  *auth.ConnectionLimiter

	Connections int // per address, excluding websockets; 0 = unlimited

	packets config.Rate // per connection
	memory  int64       // bytes for all connections
	derived []derived
}

// derived is a limiter that allows a multiple of a setting.
type derived struct {
	limiter *auth.Limiter
	times   int
	of      func(*config.Config) config.Rate
}

func (d derived) apply(cfg *config.Config) {
	r := d.of(cfg)
	d.limiter.SetRate(d.times*r.Count, r.Per)
}

// Apply changes the limits of messages, uploads and signing in to those of other settings. The others stay.
func (l Limits) Apply(cfg *config.Config) {
	for _, d := range l.derived {
		d.apply(cfg)
	}
}

// socketsPerAddress is the maximum number of sockets per address.
const socketsPerAddress = 1000

// NewLimits returns the limits for the settings.
func NewLimits(cfg *config.Config, now func() time.Time) Limits {
	var list []derived
	limiter := func(of func(*config.Config) config.Rate, times int) *auth.Limiter {
		if times == 0 {
			return nil
		}
		d := derived{auth.NewLimiter(0, 0, now), times, of}
		d.apply(cfg)
		list = append(list, d)
		return d.limiter
	}
	tiers := func(of func(*config.Config) config.Rate, each, address, all int) auth.Tiers {
		return auth.Tiers{Each: limiter(of, each), Address: limiter(of, address), All: limiter(of, all)}
	}
	messages := func(c *config.Config) config.Rate { return c.MessageLimit }
	uploads := func(c *config.Config) config.Rate { return c.UploadLimit }
	login := func(c *config.Config) config.Rate { return c.LoginLimit }
	api := func(*config.Config) config.Rate { return cfg.APILimit }
	perAddress, connections := socketsPerAddress, connectionsPerAddress
	if cfg.APILimit.Off() {
		perAddress, connections = 0, 0
	}
	l := Limits{ // comments: the resulting defaults
		Messages: tiers(messages, 1, 20, 2000),  // 30, 600, 60,000 per minute
		Texts:    tiers(messages, 10, 40, 4000), // 300 KB, 1.2 MB, 120 MB per minute
		Threads:  tiers(messages, 0, 2, 200),    // 60, 6,000 per minute
		API:      tiers(api, 0, 1, 100),         // 300, 30,000 per minute
		Events:   tiers(api, 4, 40, 4000),       // 1,200, 12,000, 1,200,000 per minute
		Uploads:  tiers(uploads, 0, 1, 100),     // 10, 1,000 per five minutes
		Login:    limiter(login, 1),
		Sockets:  auth.NewConnectionLimiter(tiers(api, 0, 2, 100), perAddress, socketRoom()),

		Connections: connections,
		packets:     config.Rate{Count: packetsPerRequest * cfg.APILimit.Count, Per: cfg.APILimit.Per}, // 2,400 per minute
		memory:      connectionMemory(debug.SetMemoryLimit(-1)),
	}
	l.derived = list
	return l
}

const (
	// packetsPerRequest derives the packet limit from the request limit. It is twice the event limit, so that a client over the event
	// limit gets an error before it is disconnected.
	packetsPerRequest = 8
	// earlyPayload is the maximum message size of a client that has not joined a namespace, in bytes.
	earlyPayload = 16 << 10
)

// connectionMemory returns the bytes that all connections may use of a memory limit: a sixteenth, between 16 and 256 MB.
func connectionMemory(limit int64) int64 {
	return min(max(limit/16, 16<<20), 256<<20)
}

// Bound sets the engine's limits for connections.
func (l Limits) Bound(o *engine.Options) {
	o.EarlyPayload, o.TotalBytes, o.AddressKey = earlyPayload, int(l.memory), auth.AddressKey
	if !l.packets.Off() {
		o.AddressBytes = int(l.memory / 4)
		o.PacketBurst = min(l.packets.Count, 1<<30)
		o.PacketEvery = max(l.packets.Per/time.Duration(o.PacketBurst), 1)
	}
}

// EachShared passes the limiters per visitor and per address to share, because these clients may connect to several processes. Totals per
// process and limits per socket are not shared.
func (l Limits) EachShared(share func(name string, l *auth.Limiter)) {
	for name, limiter := range map[string]*auth.Limiter{
		"messages each": l.Messages.Each, "messages address": l.Messages.Address, "texts each": l.Texts.Each, "texts address": l.Texts.Address, "threads": l.Threads.Address, "api": l.API.Address,
		"events": l.Events.Address, "uploads": l.Uploads.Address, "login": l.Login,
	} {
		share(name, limiter)
	}
}

// Admit returns a function for the engine that admits a connection unless there are too many.
func (l Limits) Admit(address func(*http.Request) string, log *audit.Log, numbers *metrics.Metrics) func(*http.Request) (leave func(), wait time.Duration) {
	return func(r *http.Request) (func(), time.Duration) {
		from := address(r)
		leave, wait := l.Sockets.Enter(from)
		if leave == nil {
			numbers.Limited("socket")
			log.Write(r.Context(), audit.Event{Name: audit.SocketOpen, Address: from, Outcome: audit.Limited})
		}
		return leave, wait
	}
}
