package handlers

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// contactLate is how long Telegram may be silent before /health warns: the bridge makes a call every minute.
const contactLate = 3 * time.Minute

// Webhook passes a Telegram update to the bridge.
func (a *API) Webhook(c echo.Context) error {
	if a.Bridge == nil {
		return echo.ErrNotFound
	}
	a.Bridge.ServeHTTP(c.Response(), c.Request())
	return nil
}

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
