// Package metrics keeps the numbers of this process, in a Prometheus registry of its own.
//
// Labels take few values, all of them ours: what a caller may choose freely (a path, an event's name) would cost memory for
// every value.
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

// OK is the outcome of what went well; any other is the code of a refusal.
const OK = "ok"

// Metrics are the numbers. Its methods may be called from any goroutine, and on a nil Metrics, which keeps nothing.
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

// New makes the numbers and those of the Go runtime and the process; now is the clock.
func New(now func() time.Time) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(), started: now(),
		requests:       counter("sohbet_http_requests_total", "HTTP requests answered, sockets not counted.", "method", "route", "status"),
		requestSeconds: histogram("sohbet_http_request_duration_seconds", "Time from request to answer.", "route"),
		events:         counter("sohbet_socket_events_total", "Events from clients, by what became of them.", "event", "outcome"),
		eventSeconds:   histogram("sohbet_socket_event_duration_seconds", "Time from an event to its answer; for a message, with its commit.", "event"),
		limited:        counter("sohbet_limited_total", "Refusals because a limit was reached.", "limit"),
		calls:          histogram("sohbet_outside_call_duration_seconds", "Calls of services outside.", "service", "outcome"),
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, m.events, m.eventSeconds, m.limited, m.calls,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.Gauge("sohbet_uptime_seconds", "Time since this process started.", func() float64 { return now().Sub(m.started).Seconds() })
	m.text = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// Started is when the numbers began.
func (m *Metrics) Started() time.Time { return m.started }

// ServeHTTP answers in Prometheus' text format.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.text.ServeHTTP(w, r) }

// Gauge adds a number that is read when it is asked for.
func (m *Metrics) Gauge(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// Counter adds a number that only grows, read when it is asked for.
func (m *Metrics) Counter(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

// Number is one of a group.
type Number struct {
	Name, Help string
	Counter    bool // it only grows
}

// Group adds numbers that are read together, once for each time somebody asks; read gives their values in the same order.
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

// Describe tells the registry what there is.
func (g *group) Describe(to chan<- *prometheus.Desc) {
	for _, d := range g.descriptions {
		to <- d
	}
}

// Collect reads the numbers.
func (g *group) Collect(to chan<- prometheus.Metric) {
	for i, v := range g.read() {
		to <- prometheus.MustNewConstMetric(g.descriptions[i], g.kinds[i], v)
	}
}

// Pool adds the numbers of a database pool.
func (m *Metrics) Pool(name string, db *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(db, name))
}

// Request counts an answered request.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(took.Seconds())
}

// Event counts a socket's event that has been answered, by outcome: OK or the code of its refusal.
func (m *Metrics) Event(name, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.events.WithLabelValues(name, outcome).Inc()
	m.eventSeconds.WithLabelValues(name).Observe(took.Seconds())
}

// Limited counts a refusal by a limit.
func (m *Metrics) Limited(limit string) {
	if m != nil {
		m.limited.WithLabelValues(limit).Inc()
	}
}

// Call counts a call of a service outside; outcome is OK or a word for what went wrong.
func (m *Metrics) Call(service, outcome string, took time.Duration) {
	if m != nil {
		m.calls.WithLabelValues(service, outcome).Observe(took.Seconds())
	}
}

// Transport counts the calls that go through inner as those of a service: "ok", "refused" (4xx), "limited" (429), "failed" (5xx
// or anything else) or "unreachable".
func (m *Metrics) Transport(service string, inner http.RoundTripper) http.RoundTripper {
	return &transport{m, service, inner}
}

type transport struct {
	metrics *Metrics
	service string
	inner   http.RoundTripper
}

// RoundTrip sends a request.
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

// CloseIdleConnections passes on what http.Client asks for.
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
