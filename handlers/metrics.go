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

// register adds the metrics that are read on demand.
func (a *API) register(m *metrics.Metrics) {
	number := func(f func() int64) func() float64 { return func() float64 { return float64(f()) } }
	m.Group([]metrics.Number{
		{Name: "sohbet_sockets", Help: "Sockets connected now."},
		{Name: "sohbet_sockets_opened_total", Help: "Sockets that were connected.", Counter: true},
		{Name: "sohbet_sockets_cut_total", Help: "Sockets closed because their client was too slow.", Counter: true},
		{Name: "sohbet_sockets_queued_bytes", Help: "Bytes queued for writing to sockets."},
	}, func() []float64 { // iterates over all connections
		s := a.Sockets()
		return []float64{float64(s.Open), float64(s.Opened), float64(s.Cut), float64(s.Queued)}
	})
	m.Gauge("sohbet_visitors_online", "Visitors connected to this process.", func() float64 { return float64(a.Chat.VisitorsOnline()) })
	m.Gauge("sohbet_store_queue", "Writes waiting for the next commit.", number(func() int64 { return int64(a.Store.Stats().Queued) }))
	m.Counter("sohbet_messages_accepted_total", "Messages stored.", number(func() int64 { return a.Store.Stats().Appended }))
	m.Counter("sohbet_store_commits_total", "Transactions of the batching writer.", number(func() int64 { return a.Store.Stats().Batches }))
	m.Counter("sohbet_cache_hits_total", "Reads answered from memory.", number(func() int64 { return a.Store.Stats().CacheHits }))
	m.Counter("sohbet_cache_misses_total", "Reads that went to the database.", number(func() int64 { return a.Store.Stats().CacheMisses }))
	for name, pool := range a.Store.Pools() {
		m.Pool(name, pool)
	}
	if a.Bridge == nil {
		return
	}
	m.Group([]metrics.Number{
		{Name: "sohbet_telegram_waiting", Help: "Messages waiting for Telegram."},
		{Name: "sohbet_telegram_waiting_seconds", Help: "Age of the oldest of them."},
		{Name: "sohbet_telegram_sent_total", Help: "Messages accepted by Telegram.", Counter: true},
		{Name: "sohbet_telegram_received_total", Help: "Updates received from Telegram.", Counter: true},
		{Name: "sohbet_telegram_failures_total", Help: "Failed calls of the Telegram API.", Counter: true},
	}, func() []float64 { // queries the database
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		h, age := a.Bridge.Health(ctx), 0.0
		if !h.Oldest.IsZero() {
			age = a.now().Sub(h.Oldest).Seconds()
		}
		return []float64{float64(h.Waiting), age, float64(h.Sent), float64(h.Received), float64(h.Failed)}
	})
}

// Observe records a request under its route, not its path: paths may contain thread ids.
func (a *API) Observe(c echo.Context, status int, took time.Duration) {
	route, method := c.Path(), c.Request().Method
	if route == "" || status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		route, method = "other", "any" // clients choose these freely, and every label value uses memory
	}
	a.Numbers.Request(method, route, status, took)
	if status == http.StatusTooManyRequests {
		a.Numbers.Limited("http")
	}
}

// MetricsAccess is middleware that allows METRICS_TOKEN as bearer token, or a signed-in agent.
func (a *API) MetricsAccess(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !a.readsMetrics(c) {
			return errUnauthorized
		}
		return next(c)
	}
}

// readsMetrics reports whether a request has an agent's session, METRICS_TOKEN, or the token of `sohbet doctor`.
func (a *API) readsMetrics(c echo.Context) bool {
	if token := bearer(c.Request()); token != "" {
		got := sha256.Sum256([]byte(token))
		for _, known := range append([]string{a.look.Load().MetricsToken}, a.DoctorTokens...) {
			if want := sha256.Sum256([]byte(known)); known != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
				return true
			}
		}
	}
	_, ok := a.agent(c)
	return ok
}

// Metrics responds in the Prometheus text format.
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

// MetricsJSON responds with the same figures as JSON, for the console.
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

// RecordSamples takes a sample for the charts every [metrics.SampleEvery] until ctx ends.
func (a *API) RecordSamples(ctx context.Context) {
	latency, last := a.Numbers.MessageLatency(), a.Store.Stats().Appended
	tick := time.NewTicker(metrics.SampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		stored := a.Store.Stats().Appended
		used, _ := memoryUse()
		s := metrics.Sample{
			At: a.now().UTC().Truncate(time.Millisecond), Messages: float64(stored-last) / metrics.SampleEvery.Minutes(),
			Visitors: a.Chat.VisitorsOnline(), Memory: used,
		}
		if took, ok := latency.Quantile(.95); ok {
			ms := milliseconds(took)
			s.LatencyMS = &ms
		}
		if a.Bridge != nil {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			s.Waiting = a.Bridge.Health(ctx).Waiting
			cancel()
		}
		last = stored
		a.history.Add(s)
	}
}
