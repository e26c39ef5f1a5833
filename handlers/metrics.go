package handlers

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"runtime"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/server/metrics"
)

// register adds what is read when somebody asks for it.
func (a *API) register(m *metrics.Metrics) {
	number := func(f func() int64) func() float64 { return func() float64 { return float64(f()) } }
	m.Group([]metrics.Number{
		{Name: "sohbet_sockets", Help: "Sockets connected now."},
		{Name: "sohbet_sockets_opened_total", Help: "Sockets that were connected.", Counter: true},
		{Name: "sohbet_sockets_cut_total", Help: "Sockets that were cut because they fell behind.", Counter: true},
		{Name: "sohbet_sockets_queued_bytes", Help: "What waits to be written to sockets."},
	}, func() []float64 { // it asks every connection
		s := a.Sockets()
		return []float64{float64(s.Open), float64(s.Opened), float64(s.Cut), float64(s.Queued)}
	})
	m.Gauge("sohbet_visitors_online", "Visitors who are here.", func() float64 { return float64(a.Chat.VisitorsOnline()) })
	m.Gauge("sohbet_store_queue", "Writes waiting for the next commit.", number(func() int64 { return int64(a.Store.Stats().Queued) }))
	m.Counter("sohbet_messages_accepted_total", "Messages stored.", number(func() int64 { return a.Store.Stats().Appended }))
	m.Counter("sohbet_store_commits_total", "Transactions of the batching writer.", number(func() int64 { return a.Store.Stats().Batches }))
	m.Counter("sohbet_cache_hits_total", "Reads answered from memory.", number(func() int64 { return a.Store.Stats().CacheHits }))
	m.Counter("sohbet_cache_misses_total", "Reads that went to the database.", number(func() int64 { return a.Store.Stats().CacheMisses }))
	for name, pool := range a.Store.Pools() {
		m.Pool(name, pool)
	}
	if a.Cluster != nil {
		a.registerCluster(m)
	}
	if a.Bridge == nil {
		return
	}
	m.Group([]metrics.Number{
		{Name: "sohbet_telegram_waiting", Help: "Messages waiting for Telegram."},
		{Name: "sohbet_telegram_waiting_seconds", Help: "Age of the oldest of them."},
		{Name: "sohbet_telegram_sent_total", Help: "Messages that Telegram took.", Counter: true},
		{Name: "sohbet_telegram_received_total", Help: "Updates that came from Telegram.", Counter: true},
		{Name: "sohbet_telegram_failures_total", Help: "Calls of Telegram that failed.", Counter: true},
	}, func() []float64 { // it asks the database
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		h, age := a.Bridge.Health(ctx), 0.0
		if !h.Oldest.IsZero() {
			age = a.now().Sub(h.Oldest).Seconds()
		}
		return []float64{float64(h.Waiting), age, float64(h.Sent), float64(h.Received), float64(h.Failed)}
	})
}

// registerCluster adds what is known of the other processes.
func (a *API) registerCluster(m *metrics.Metrics) {
	m.Group([]metrics.Number{
		{Name: "sohbet_cluster_up", Help: "Whether Redis connects this process with the others."},
		{Name: "sohbet_cluster_processes", Help: "Processes that are heard of, this one among them."},
		{Name: "sohbet_cluster_rooms", Help: "Rooms that this process is subscribed to."},
		{Name: "sohbet_cluster_waiting", Help: "Publications that wait for Redis."},
		{Name: "sohbet_cluster_published_total", Help: "Publications sent to the others.", Counter: true},
		{Name: "sohbet_cluster_received_total", Help: "Publications that came from the others.", Counter: true},
		{Name: "sohbet_cluster_dropped_total", Help: "Publications dropped because too many waited.", Counter: true},
		{Name: "sohbet_cluster_held_total", Help: "Messages that waited for the one before them.", Counter: true},
		{Name: "sohbet_cluster_recalled_total", Help: "Messages read from the database because they had not come.", Counter: true},
		{Name: "sohbet_cluster_repeated_total", Help: "Messages that came a second time.", Counter: true},
		{Name: "sohbet_cluster_reconnects_total", Help: "Times that Redis was back.", Counter: true},
	}, func() []float64 {
		s, up := a.Cluster.Stats(), 0.0
		if s.Up {
			up = 1
		}
		return []float64{up, float64(s.Processes), float64(s.Rooms), float64(s.Waiting), float64(s.Published), float64(s.Received),
			float64(s.Dropped), float64(s.Held), float64(s.Recalled), float64(s.Repeated), float64(s.Reconnects)}
	})
}

// Observe counts an answered request under its route, not its path: paths may hold thread ids.
func (a *API) Observe(c echo.Context, status int, took time.Duration) {
	route, method := c.Path(), c.Request().Method
	if route == "" || status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		route, method = "other", "any" // callers choose those freely, and every value would cost memory
	}
	a.Numbers.Request(method, route, status, took)
	if status == http.StatusTooManyRequests {
		a.Numbers.Limited("http")
	}
}

// MetricsAccess lets METRICS_TOKEN as bearer, or a signed-in agent, through.
func (a *API) MetricsAccess(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !a.readsMetrics(c) {
			return errUnauthorized
		}
		return next(c)
	}
}

// readsMetrics reports whether a request has a session, METRICS_TOKEN, or the token of `sohbet doctor`.
func (a *API) readsMetrics(c echo.Context) bool {
	if token := bearer(c.Request()); token != "" {
		got := sha256.Sum256([]byte(token))
		for _, known := range append([]string{a.MetricsToken}, a.DoctorTokens...) {
			if want := sha256.Sum256([]byte(known)); known != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
				return true
			}
		}
	}
	_, ok := a.agent(c)
	return ok
}

// Metrics answers in Prometheus' text format.
func (a *API) Metrics(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	a.Numbers.ServeHTTP(c.Response(), c.Request())
	return nil
}

type metricsAnswer struct {
	Success          bool          `json:"success"`
	Timestamp        string        `json:"timestamp"`
	Version          string        `json:"version"`
	UptimeSeconds    float64       `json:"uptime_seconds"`
	Sockets          int           `json:"sockets"`
	MessagesAccepted int64         `json:"messages_accepted"`
	Goroutines       int           `json:"goroutines"`
	Memory           memoryMetrics `json:"memory"`
	Cache            cacheMetrics  `json:"cache"`
	Store            storeMetrics  `json:"store"`
}

type memoryMetrics struct {
	UsedBytes  uint64 `json:"used_bytes"`
	LimitBytes uint64 `json:"limit_bytes"` // 0 = none
}

type cacheMetrics struct {
	Hits   int64 `json:"hits"`
	Misses int64 `json:"misses"`
}

type storeMetrics struct {
	Dialect string `json:"dialect"`
	Queued  int    `json:"queued"`
	Commits int64  `json:"commits"`
}

// MetricsJSON answers with the same numbers for the console.
func (a *API) MetricsJSON(c echo.Context) error {
	stats := a.Store.Stats()
	used, limit := memoryUse()
	return ok(c, metricsAnswer{
		Success: true, Timestamp: stamp(a.now()), Version: a.Version,
		UptimeSeconds: a.now().Sub(a.Numbers.Started()).Seconds(), Sockets: a.Sockets().Open,
		MessagesAccepted: stats.Appended, Goroutines: runtime.NumGoroutine(),
		Memory: memoryMetrics{UsedBytes: used, LimitBytes: limit},
		Cache:  cacheMetrics{Hits: stats.CacheHits, Misses: stats.CacheMisses},
		Store:  storeMetrics{Dialect: a.Store.Dialect(), Queued: stats.Queued, Commits: stats.Batches},
	})
}
