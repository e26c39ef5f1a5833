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

// Limits are all rate limits, made of the four settings. What the settings say holds for one visitor or one address. The other
// tiers are multiples: an address may be a shop, a school or a whole village behind one NAT, so it gets what many visitors
// together need; what everybody together gets is near what one server can do, so that a flood from many addresses ends there
// instead of in the database. Off is off for all tiers of a setting.
type Limits struct {
	Messages auth.Tiers // messages of visitors
	Texts    auth.Tiers // kilobytes that visitors have stored, each write counting as one at least
	Threads  auth.Tiers // conversations begun
	API      auth.Tiers // requests to /api
	Events   auth.Tiers // events on sockets, messages among them
	Uploads  auth.Tiers // files taken in
	Login    *auth.Limiter
	Sockets  *auth.Crowd

	Connections int // of one address, without websockets; 0 = no bound

	packets config.Rate // of one connection
	memory  int64       // bytes for all connections
}

// socketsPerAddress is how many connections one address may hold.
const socketsPerAddress = 1000

// NewLimits makes the limits.
func NewLimits(cfg *config.Config, now func() time.Time) Limits {
	tiers := func(r config.Rate, each, address, all int) auth.Tiers {
		of := func(n int) *auth.Limiter {
			if n == 0 || r.Off() {
				return nil
			}
			return auth.NewLimiter(n*r.Count, r.Per, now)
		}
		return auth.Tiers{Each: of(each), Address: of(address), All: of(all)}
	}
	perAddress, connections := socketsPerAddress, connectionsPerAddress
	if cfg.APILimit.Off() {
		perAddress, connections = 0, 0
	}
	return Limits{ // in the comments: what the defaults make of it
		Messages: tiers(cfg.MessageLimit, 1, 20, 2000),  // 30, 600, 60,000 a minute
		Texts:    tiers(cfg.MessageLimit, 10, 40, 4000), // 300 KB, 1.2 MB, 120 MB a minute
		Threads:  tiers(cfg.MessageLimit, 0, 2, 200),    // 60, 6,000 a minute
		API:      tiers(cfg.APILimit, 0, 1, 100),        // 300, 30,000 a minute
		Events:   tiers(cfg.APILimit, 4, 40, 4000),      // 1,200, 12,000, 1,200,000 a minute
		Uploads:  tiers(cfg.UploadLimit, 0, 1, 100),     // 10, 1,000 in five minutes
		Login:    auth.NewLimiter(cfg.LoginLimit.Count, cfg.LoginLimit.Per, now),
		Sockets:  auth.NewCrowd(tiers(cfg.APILimit, 0, 2, 100), perAddress, socketRoom()),

		Connections: connections,
		packets:     config.Rate{Count: packetsPerRequest * cfg.APILimit.Count, Per: cfg.APILimit.Per}, // 2,400 a minute
		memory:      connectionMemory(debug.SetMemoryLimit(-1)),
	}
}

const (
	// packetsPerRequest makes the limit of packets from the limit of requests. It is twice that of events, so that who sends too
	// many events is told so first.
	packetsPerRequest = 8
	// earlyPayload is the longest message of a client that has not joined a namespace.
	earlyPayload = 16 << 10
)

// connectionMemory is what all connections may hold of a memory limit: a sixteenth, from 16 to 256 MB.
func connectionMemory(limit int64) int64 {
	return min(max(limit/16, 16<<20), 256<<20)
}

// Bound sets what connections may hold and send.
func (l Limits) Bound(o *engine.Options) {
	o.EarlyPayload, o.TotalBytes, o.AddressKey = earlyPayload, int(l.memory), auth.AddressKey
	if !l.packets.Off() {
		o.AddressBytes = int(l.memory / 4)
		o.PacketBurst = min(l.packets.Count, 1<<30)
		o.PacketEvery = max(l.packets.Per/time.Duration(o.PacketBurst), 1)
	}
}

// Share hands over the limiters that count one visitor or one address, which may come to several processes: how much is spent
// has to be known to all. What one process can do in all is its own matter, and so is what one socket sends.
func (l Limits) Share(share func(name string, l *auth.Limiter)) {
	for name, limiter := range map[string]*auth.Limiter{
		"messages each": l.Messages.Each, "messages address": l.Messages.Address, "texts each": l.Texts.Each, "texts address": l.Texts.Address, "threads": l.Threads.Address, "api": l.API.Address,
		"events": l.Events.Address, "uploads": l.Uploads.Address, "login": l.Login,
	} {
		if limiter != nil {
			share(name, limiter)
		}
	}
}

// Admit lets connections in as long as there is room, for the engine that serves them.
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
