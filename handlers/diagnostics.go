package handlers

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/metrics"
)

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

// DiagnosticsPage serves the page with the server's state to agents; others are redirected to /login.
func (a *API) DiagnosticsPage(c echo.Context) error { return a.agentsPage(c, "diagnostics") }

type diagnosticsAnswer struct {
	Success  bool                   `json:"success"`
	Version  string                 `json:"version"`
	Uptime   float64                `json:"uptime_seconds"`
	LogLevel string                 `json:"log_level"`
	Checks   map[string]checkResult `json:"checks"`
	Samples  []metrics.Sample       `json:"samples"`
	Repairs  []string               `json:"repairs"` // those available in this configuration
}

// Diagnostics responds with the checks, the samples of the last hour and the available repairs. With ?fresh=1 the checks are run now.
func (a *API) Diagnostics(c echo.Context) error {
	age := checksKept
	if c.QueryParam("fresh") == "1" {
		age = 0
	}
	answer := diagnosticsAnswer{
		Success: true, Version: a.Version, Uptime: a.now().Sub(a.Numbers.Started()).Seconds(), LogLevel: a.levelName(),
		Checks: maps.Clone(a.health.checksWithin(c.Request().Context(), age)), Samples: a.history.Samples(),
	}
	answer.Checks["origin"] = a.originCheck(c.Request().Context())
	for _, r := range a.repairs() {
		answer.Repairs = append(answer.Repairs, r.name)
	}
	return ok(c, answer)
}

// originCheck warns while pages are refused because of their origin. It is not part of /health, because unauthenticated clients can
// cause it.
func (a *API) originCheck(ctx context.Context) checkResult {
	refused, found := a.Refusals.Last(ctx)
	if !found {
		return checkResult{Status: stateOK, Detail: a.PublicURL}
	}
	return checkResult{Status: stateWarning, Reason: "origin_refused", Detail: "pages of " + refused.Origin + " are refused", Cure: refused.Setting(),
		Origin: refused.Origin, Host: refused.Host}
}

// repair is a maintenance action for agents. Its result is a set of numbers, which the page turns into text.
type repair struct {
	name string
	do   func(context.Context) (map[string]int64, error)
}

// repairTimeout bounds a repair; compacting a large database takes long.
const repairTimeout = 10 * time.Minute

func (a *API) repairs() []repair {
	list := []repair{{"compact", a.compact}, {"purge", a.purge}}
	if a.Bridge != nil {
		list = append(list, repair{"resend", a.resend}, repair{"reconnect", a.reconnect})
	}
	return list
}

func (a *API) compact(ctx context.Context) (map[string]int64, error) {
	c, err := a.Store.Compact(ctx)
	return map[string]int64{"before_bytes": c.Before, "after_bytes": c.After}, err
}

func (a *API) purge(ctx context.Context) (map[string]int64, error) {
	codes, err := a.Store.PurgeCodes(ctx, a.now())
	if err != nil {
		return nil, err
	}
	swept, err := a.Chat.Sweep(ctx, 0)
	if err != nil {
		return nil, err
	}
	a.Media.Sweep(ctx)
	return map[string]int64{"codes": codes, "threads": int64(swept.Threads)}, nil
}

func (a *API) resend(ctx context.Context) (map[string]int64, error) {
	found := a.Bridge.Health(ctx)
	waiting := found.Waiting + found.Aside
	if _, err := a.Store.OutboxSendAgain(ctx, models.ChannelTelegram, "", 0); err != nil {
		return nil, err
	}
	return map[string]int64{"waiting": waiting}, a.Store.OutboxWake(ctx)
}

func (a *API) reconnect(context.Context) (map[string]int64, error) {
	a.Bridge.Reconnect()
	return map[string]int64{}, nil
}

// Repair runs the repair named in the body: {"name"}. Only one runs at a time.
func (a *API) Repair(c echo.Context) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := c.Bind(&in); err != nil {
		return err
	}
	list := a.repairs()
	i := slices.IndexFunc(list, func(r repair) bool { return r.name == in.Name })
	if i < 0 {
		return &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeValidation, Message: "There is no such repair."}
	}
	if !a.repairing.TryLock() {
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeValidation, Message: "Another repair is running; wait until it is done."}
	}
	defer a.repairing.Unlock()
	// A repair may take long, and it must not be interrupted if the agent leaves the page.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(a.now().Add(repairTimeout + time.Minute)) // test recorders do not support deadlines
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), repairTimeout)
	defer cancel()
	result, err := list[i].do(ctx)
	if err != nil {
		return err
	}
	a.log.InfoContext(ctx, "repair", "name", in.Name, "result", result)
	return ok(c, struct {
		Success bool             `json:"success"`
		Result  map[string]int64 `json:"result"`
	}{true, result})
}

// SetLogLevel changes the log level until the next restart: {"level"}.
func (a *API) SetLogLevel(c echo.Context) error {
	var in struct {
		Level string `json:"level"`
	}
	if err := c.Bind(&in); err != nil {
		return err
	}
	var level slog.Level
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, in.Level) || level.UnmarshalText([]byte(in.Level)) != nil {
		return &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeValidation, Message: "level must be debug, info, warn or error."}
	}
	a.LogLevel.Set(level)
	s, _ := a.agent(c)
	a.security(c, audit.LogLevel, s.Subject, audit.OK)
	return ok(c, struct {
		Success  bool   `json:"success"`
		LogLevel string `json:"log_level"`
	}{true, a.levelName()})
}

func (a *API) levelName() string { return strings.ToLower(a.LogLevel.Level().String()) }
