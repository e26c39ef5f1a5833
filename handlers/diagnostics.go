package handlers

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/metrics"
)

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

// SetLogLevel changes the log level until the next restart: {"level"}.
func (a *API) SetLogLevel(c echo.Context) error {
	var in struct {
		Level string `json:"level"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	var level slog.Level
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, in.Level) || level.UnmarshalText([]byte(in.Level)) != nil {
		return &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeValidation, Message: "level must be debug, info, warn or error."}
	}
	a.LogLevel.Set(level)
	a.acted(c, audit.Event{Name: audit.LogLevel, Detail: in.Level})
	return ok(c, struct {
		Success  bool   `json:"success"`
		LogLevel string `json:"log_level"`
	}{true, a.levelName()})
}

func (a *API) levelName() string { return strings.ToLower(a.LogLevel.Level().String()) }
