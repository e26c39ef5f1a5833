package handlers

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sohbet/server/telegram"
)

// metrics are the numbers of this process, in a registry of its own.
type metrics struct {
	started  time.Time
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	text     http.Handler
}

func newMetrics(a *API) *metrics {
	m := &metrics{
		started: a.now(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sohbet_http_requests_total", Help: "HTTP requests answered, sockets not counted.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sohbet_http_request_duration_seconds", Help: "Time from request to answer.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5},
		}, []string{"route"}),
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	counter := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.requests, m.duration,
		gauge("sohbet_uptime_seconds", "Time since this process started.", func() float64 { return a.now().Sub(m.started).Seconds() }),
		gauge("sohbet_sockets", "Sockets connected now.", func() float64 { return float64(a.Sockets()) }),
		gauge("sohbet_store_queue", "Writes waiting for the next commit.", func() float64 { return float64(a.Store.Stats().Queued) }),
		counter("sohbet_messages_accepted_total", "Messages stored.", func() float64 { return float64(a.Store.Stats().Appended) }),
		counter("sohbet_store_commits_total", "Transactions of the batching writer.", func() float64 { return float64(a.Store.Stats().Batches) }),
		counter("sohbet_cache_hits_total", "Reads answered from memory.", func() float64 { return float64(a.Store.Stats().CacheHits) }),
		counter("sohbet_cache_misses_total", "Reads that went to the database.", func() float64 { return float64(a.Store.Stats().CacheMisses) }),
	)
	if bridge := a.Bridge; bridge != nil {
		of := func(f func(telegram.Health) float64) func() float64 {
			return func() float64 {
				ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
				defer cancel()
				return f(bridge.Health(ctx))
			}
		}
		registry.MustRegister(
			gauge("sohbet_telegram_waiting", "Messages waiting for Telegram.", of(func(h telegram.Health) float64 { return float64(h.Waiting) })),
			gauge("sohbet_telegram_waiting_seconds", "Age of the oldest of them.", of(func(h telegram.Health) float64 {
				if h.Oldest.IsZero() {
					return 0
				}
				return a.now().Sub(h.Oldest).Seconds()
			})),
			counter("sohbet_telegram_sent_total", "Messages that Telegram took.", of(func(h telegram.Health) float64 { return float64(h.Sent) })),
			counter("sohbet_telegram_received_total", "Updates that came from Telegram.", of(func(h telegram.Health) float64 { return float64(h.Received) })),
			counter("sohbet_telegram_failures_total", "Calls of Telegram that failed.", of(func(h telegram.Health) float64 { return float64(h.Failed) })),
		)
	}
	m.text = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

// Observe counts an answered request under its route, not its path: paths may hold thread ids.
func (a *API) Observe(c echo.Context, status int, took time.Duration) {
	route, method := c.Path(), c.Request().Method
	if route == "" || status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		route, method = "other", "any" // callers choose those freely, and every value would cost memory
	}
	a.metrics.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	a.metrics.duration.WithLabelValues(route).Observe(took.Seconds())
}

// MetricsAccess lets METRICS_TOKEN as bearer, or a signed-in agent, through.
func (a *API) MetricsAccess(next echo.HandlerFunc) echo.HandlerFunc {
	want := sha256.Sum256([]byte(a.MetricsToken))
	return func(c echo.Context) error {
		got := sha256.Sum256([]byte(bearer(c.Request())))
		if a.MetricsToken != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			return next(c)
		}
		return a.AgentsOnly(next)(c)
	}
}

// Metrics answers in Prometheus' text format.
func (a *API) Metrics(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	a.metrics.text.ServeHTTP(c.Response(), c.Request())
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
		UptimeSeconds: a.now().Sub(a.metrics.started).Seconds(), Sockets: a.Sockets(),
		MessagesAccepted: stats.Appended, Goroutines: runtime.NumGoroutine(),
		Memory: memoryMetrics{UsedBytes: used, LimitBytes: limit},
		Cache:  cacheMetrics{Hits: stats.CacheHits, Misses: stats.CacheMisses},
		Store:  storeMetrics{Dialect: a.Store.Dialect(), Queued: stats.Queued, Commits: stats.Batches},
	})
}
