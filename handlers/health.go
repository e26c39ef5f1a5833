package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/server/chat"
	"sohbet/server/checks"
)

// Status of a check.
const (
	stateOK      = checks.OK
	stateWarning = checks.Warning
	stateError   = checks.Error
	stateOff     = "off"
)

const (
	checkTimeout = 2 * time.Second
	checksKept   = 2 * time.Second // so that frequent probes cause no load
)

// checkResult is the result of one check in /health.
type checkResult struct {
	Status     string  `json:"status"` // ok, warning, error, off
	DurationMS float64 `json:"duration_ms"`
	Detail     string  `json:"detail,omitempty"`
	Reason     string  `json:"reason,omitempty"` // a code for Detail, for which pages have a translation
	Cure       string  `json:"cure,omitempty"`   // how to fix it
	UsedBytes  uint64  `json:"used_bytes,omitempty"`
	FreeBytes  uint64  `json:"free_bytes,omitempty"`
	TotalBytes uint64  `json:"total_bytes,omitempty"` // for memory: the limit, 0 = none
	// For Telegram: the time of its last response, and the number of messages waiting to be sent.
	LastContact string `json:"last_contact,omitempty"`
	CheckedAt   string `json:"checked_at"`
	LastOK      string `json:"last_ok,omitempty"` // since the start of this process
	ChatID      string `json:"chat_id,omitempty"` // the new id of the group, if it became a supergroup
	Waiting     int64  `json:"waiting,omitempty"`
	// For refused pages: their origin, and the Host header of their requests.
	Origin string `json:"origin,omitempty"`
	Host   string `json:"host,omitempty"`
	Aside  int64  `json:"set_aside,omitempty"` // messages set aside until an agent retries them

	reads bool // despite the error, stored data can be read
}

// health runs the checks and caches their results.
type health struct {
	api      *API
	stopping atomic.Bool
	started  atomic.Bool

	mu      sync.Mutex
	results map[string]checkResult
	at      time.Time
	good    map[string]string // time of the last successful result, by check
}

func newHealth(a *API) *health { return &health{api: a, good: make(map[string]string)} }

// SetReady sets whether the server accepts traffic: false while starting and from the beginning of a shutdown.
func (a *API) SetReady(ready bool) {
	a.health.started.Store(ready)
	a.health.stopping.Store(!ready)
}

// checks runs every check, or returns cached results younger than checksKept.
func (h *health) checks(ctx context.Context) map[string]checkResult {
	return h.checksWithin(ctx, checksKept)
}

// checksWithin runs every check, or returns cached results younger than age.
func (h *health) checksWithin(ctx context.Context, age time.Duration) map[string]checkResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.results != nil && h.api.now().Sub(h.at) < age {
		return h.results
	}
	// The result is cached, so it must not depend on this caller staying connected.
	ctx = context.WithoutCancel(ctx)
	checks := map[string]func(context.Context) checkResult{
		"database": h.database, "telegram": h.telegram, "cloudinary": h.cloudinary,
		"memory": func(context.Context) checkResult { return memoryCheck() },
		"redis":  h.redis,
		"disk":   h.disk,
		"clock":  h.clock,
	}
	// Concurrently, so that a check that times out does not delay the others.
	var running sync.WaitGroup
	var mu sync.Mutex
	results := make(map[string]checkResult, len(checks))
	for name, check := range checks {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			start := time.Now()
			r := check(ctx)
			r.DurationMS, r.CheckedAt = milliseconds(time.Since(start)), stamp(h.api.now())
			mu.Lock()
			defer mu.Unlock()
			if r.Status == stateOK {
				h.good[name] = r.CheckedAt
			}
			r.LastOK = h.good[name]
			results[name] = r
		})
	}
	running.Wait()
	h.results = results
	h.at = h.api.now()
	return h.results
}

// resultOf converts a check that `sohbet doctor` makes too.
func resultOf(r checks.Result) checkResult {
	return checkResult{Status: r.Status, Reason: r.Reason, Detail: r.Detail, Cure: r.Cure("en"), reads: r.Reads}
}

func (h *health) database(ctx context.Context) checkResult {
	r := resultOf(checks.Database(ctx, h.api.Store))
	if missing := h.api.Store.MissingKeys(); missing != nil && r.Status == stateOK { // started with --force
		r.Status, r.Detail = stateWarning, missing.Error()
	}
	if r.Status == stateError {
		h.api.log.LogAttrs(ctx, slog.LevelError, "health: database", slog.Bool("readable", r.reads), slog.String("detail", r.Detail))
	}
	return r
}

func (h *health) clock(ctx context.Context) checkResult {
	r := resultOf(checks.Clock(ctx, h.api.Store))
	if r.Status != stateOK {
		h.api.log.LogAttrs(ctx, slog.LevelWarn, "health: clock", slog.String("detail", r.Detail))
	}
	return r
}

// cloudinary is at most a warning: while it fails, files are stored on this machine.
func (h *health) cloudinary(ctx context.Context) checkResult {
	on, err := h.api.Media.CheckCloud(ctx)
	switch {
	case !on:
		return checkResult{Status: stateOff}
	case err != nil:
		h.api.log.LogAttrs(ctx, slog.LevelWarn, "health: Cloudinary", slog.Any("error", err))
		return checkResult{Status: stateWarning, Reason: "cloudinary_silent", Detail: "Cloudinary does not respond correctly; files are kept on this machine"}
	}
	return checkResult{Status: stateOK}
}

// Broker is the connection to other processes.
type Broker interface {
	// Check reports whether the broker depends on Redis, and if so, why it cannot be used.
	Check() (on bool, err error)
}

// redis is at most a warning: without it each process works alone.
func (h *health) redis(ctx context.Context) checkResult {
	on, err := h.api.Broker.Check()
	switch {
	case !on:
		return checkResult{Status: stateOff}
	case err != nil:
		h.api.log.LogAttrs(ctx, slog.LevelWarn, "health: Redis", slog.Any("error", err))
		return checkResult{Status: stateWarning, Detail: err.Error()}
	}
	return checkResult{Status: stateOK}
}

// jobs returns the jobs that have work left, none if the database does not answer.
func (h *health) jobs(ctx context.Context) []chat.JobView {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	list, err := h.api.Store.Jobs(ctx)
	if err != nil {
		return nil // the check of the database says why
	}
	views := make([]chat.JobView, len(list))
	for i, j := range list {
		views[i] = chat.ViewJob(j)
	}
	return views
}

func memoryCheck() checkResult {
	used, limit := memoryUse()
	r := checkResult{Status: stateOK, UsedBytes: used, TotalBytes: limit}
	if limit > 0 && used > limit/10*9 {
		r.Status = stateWarning
	}
	return r
}

// disk warns before the disk is full. While visitors' messages are refused, agents can still read and answer.
func (h *health) disk(ctx context.Context) checkResult {
	found, state := checks.Disk(ctx, h.api.Disk)
	r := resultOf(found)
	r.FreeBytes, r.TotalBytes = state.Free, state.Total
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

type healthAnswer struct {
	Status      string         `json:"status"`
	Timestamp   string         `json:"timestamp"`
	Version     string         `json:"version,omitempty"`
	Environment string         `json:"environment,omitempty"`
	Checks      map[string]any `json:"checks,omitempty"` // checkResult, or checkStatus for clients without access to metrics
	Jobs        []chat.JobView `json:"jobs,omitempty"`   // that have work left
}

// checkStatus is the part of a check that every client may see.
type checkStatus struct {
	Status string `json:"status"`
}

// Health responds with the result of every check: 200 if the server works, 503 if it does not. "degraded" means that it works partly,
// or not for much longer. Version, environment, figures and details require METRICS_TOKEN or an agent's session.
func (a *API) Health(c echo.Context) error {
	answer := healthAnswer{Status: "healthy", Timestamp: stamp(a.now()), Checks: make(map[string]any)}
	details := a.readsMetrics(c)
	if details {
		answer.Version, answer.Environment, answer.Jobs = a.Version, a.Environment, a.health.jobs(c.Request().Context())
	}
	status := http.StatusOK
	for name, check := range a.health.checks(c.Request().Context()) {
		answer.Checks[name] = checkStatus{check.Status}
		if details {
			answer.Checks[name] = check
		}
		if check.Status == stateError {
			status = http.StatusServiceUnavailable
		}
		switch {
		case check.Status == stateError && !check.reads:
			answer.Status = "unhealthy"
		case check.Status == stateWarning || check.Status == stateError:
			if answer.Status == "healthy" {
				answer.Status = "degraded"
			}
		}
	}
	return healthJSON(c, status, answer)
}

// Live responds 200 as long as the process can serve requests.
func (a *API) Live(c echo.Context) error {
	return healthJSON(c, http.StatusOK, healthAnswer{Status: "alive", Timestamp: stamp(a.now())})
}

// Ready responds 200 if the server accepts new traffic: it has started, is not shutting down, and the database responds.
func (a *API) Ready(c echo.Context) error {
	answer := healthAnswer{Status: "ready", Timestamp: stamp(a.now())}
	switch {
	case a.health.stopping.Load():
		answer.Status = "stopping"
	case !a.health.started.Load():
		answer.Status = "starting"
	case a.health.checks(c.Request().Context())["database"].Status != stateOK:
		answer.Status = "database unreachable"
	default:
		return healthJSON(c, http.StatusOK, answer)
	}
	return healthJSON(c, http.StatusServiceUnavailable, answer)
}

func healthJSON(c echo.Context, status int, v any) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(status, v)
}

// contactLate is how long Telegram may be silent before /health warns: the bridge makes a call every minute.
const contactLate = 3 * time.Minute

// telegram is at most a warning: without Telegram visitors and agents can still chat, and messages are sent there later.
func (h *health) telegram(ctx context.Context) checkResult {
	if h.api.Bridge == nil {
		return checkResult{Status: stateOff}
	}
	found := h.api.Bridge.Health(ctx)
	r := checkResult{Status: stateOK, Waiting: found.Waiting, Aside: found.Aside}
	switch now := h.api.now(); {
	case found.Trouble.Reason != "":
		r.Status, r.Reason, r.Detail, r.Cure = stateWarning, found.Trouble.Reason, found.Trouble.Text, found.Trouble.Cure
	case found.LastContact.IsZero() && now.Sub(h.api.Numbers.Started()) > contactLate:
		r.Status, r.Reason, r.Detail = stateWarning, "telegram_never", "Telegram has never answered"
	case !found.LastContact.IsZero() && now.Sub(found.LastContact) > contactLate:
		r.Status, r.Reason = stateWarning, "telegram_silent"
		r.Detail = "Telegram has not answered for " + strconv.Itoa(int(now.Sub(found.LastContact).Minutes())) + " minutes"
	case found.MovedTo != 0: // it works, but the setting needs the new id
		r.Reason, r.ChatID = "telegram_moved", strconv.FormatInt(found.MovedTo, 10)
		r.Detail = "the group has become a supergroup; its new number is " + r.ChatID
		r.Cure = "Set TELEGRAM_CHAT_ID=" + r.ChatID + "."
	}
	if !found.LastContact.IsZero() {
		r.LastContact = stamp(found.LastContact)
	}
	if r.Status != stateOK {
		h.api.log.LogAttrs(ctx, slog.LevelWarn, "health: Telegram", slog.String("detail", r.Detail), slog.Int64("waiting", found.Waiting))
	}
	return r
}
