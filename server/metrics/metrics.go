// Package metrics collects this process's metrics in a Prometheus registry of its own.
//
// Labels only take few, constant values: every value uses memory, so they must not come from client input (paths, event names).
package metrics

import (
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// OK is the outcome of a success; any other outcome is an error code.
const OK = "ok"

// Metrics is the set of metrics. It is safe for concurrent use, and a nil Metrics discards everything.
type Metrics struct {
	registry *prometheus.Registry
	text     http.Handler
	started  time.Time

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	events         *prometheus.CounterVec
	eventSeconds   *prometheus.HistogramVec
	limited        *prometheus.CounterVec
	calls          *prometheus.HistogramVec
}

var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// New returns the metrics, including those of the Go runtime and the process; now is the clock.
func New(now func() time.Time) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(), started: now(),
		requests:       counter("sohbet_http_requests_total", "HTTP responses, excluding sockets.", "method", "route", "status"),
		requestSeconds: histogram("sohbet_http_request_duration_seconds", "Time from request to response.", "route"),
		events:         counter("sohbet_socket_events_total", "Events from clients, by outcome.", "event", "outcome"),
		eventSeconds:   histogram("sohbet_socket_event_duration_seconds", "Time from an event to its acknowledgement, including the commit for a message.", "event"),
		limited:        counter("sohbet_limited_total", "Requests and events refused by a rate limit.", "limit"),
		calls:          histogram("sohbet_outside_call_duration_seconds", "Calls to external services.", "service", "outcome"),
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, m.events, m.eventSeconds, m.limited, m.calls,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.Gauge("sohbet_uptime_seconds", "Time since this process started.", func() float64 { return now().Sub(m.started).Seconds() })
	m.text = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// Started returns the time at which the metrics were created.
func (m *Metrics) Started() time.Time { return m.started }

// ServeHTTP responds in the Prometheus text format.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.text.ServeHTTP(w, r) }

// Gauge adds a gauge whose value is read on each scrape.
func (m *Metrics) Gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// Counter adds a counter whose value is read on each scrape.
func (m *Metrics) Counter(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

// Number is a metric of a group.
type Number struct {
	Name, Help string
	Counter    bool // a counter; otherwise a gauge
}

// Group adds metrics that are read together, once per scrape; read returns their values in the same order.
func (m *Metrics) Group(numbers []Number, read func() []float64) {
	g := &group{read: read}
	for _, n := range numbers {
		kind := prometheus.GaugeValue
		if n.Counter {
			kind = prometheus.CounterValue
		}
		g.kinds = append(g.kinds, kind)
		g.descriptions = append(g.descriptions, prometheus.NewDesc(n.Name, n.Help, nil, nil))
	}
	m.registry.MustRegister(g)
}

type group struct {
	descriptions []*prometheus.Desc
	kinds        []prometheus.ValueType
	read         func() []float64
}

// Describe implements prometheus.Collector.
func (g *group) Describe(to chan<- *prometheus.Desc) {
	for _, d := range g.descriptions {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *group) Collect(to chan<- prometheus.Metric) {
	for i, v := range g.read() {
		to <- prometheus.MustNewConstMetric(g.descriptions[i], g.kinds[i], v)
	}
}

// Pool adds the metrics of a database connection pool.
func (m *Metrics) Pool(name string, db *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(db, name))
}

// Request records an HTTP response.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(took.Seconds())
}

// Event records a socket event that has been acknowledged, with its outcome: OK or an error code.
func (m *Metrics) Event(name, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.events.WithLabelValues(name, outcome).Inc()
	m.eventSeconds.WithLabelValues(name).Observe(took.Seconds())
}

// Limited counts a refusal by a rate limit.
func (m *Metrics) Limited(limit string) {
	if m != nil {
		m.limited.WithLabelValues(limit).Inc()
	}
}

// Call records a call to an external service; outcome is OK or a word for the error.
func (m *Metrics) Call(service, outcome string, took time.Duration) {
	if m != nil {
		m.calls.WithLabelValues(service, outcome).Observe(took.Seconds())
	}
}

// Transport wraps inner and records its calls to a service with the outcome "ok", "refused" (4xx), "limited" (429), "failed" (5xx or
// any other status) or "unreachable".
func (m *Metrics) Transport(service string, inner http.RoundTripper) http.RoundTripper {
	return &transport{m, service, inner}
}

type transport struct {
	metrics *Metrics
	service string
	inner   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	res, err := t.inner.RoundTrip(r)
	outcome := "unreachable"
	if err == nil {
		outcome = outcomeOf(res.StatusCode)
	}
	t.metrics.Call(t.service, outcome, time.Since(start))
	return res, err
}

// CloseIdleConnections forwards http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.inner.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func outcomeOf(status int) string {
	switch {
	case status < 400:
		return OK
	case status == http.StatusTooManyRequests:
		return "limited"
	case status < 500:
		return "refused"
	}
	return "failed"
}
