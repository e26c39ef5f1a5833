package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// TelegramCode responds with a code with which the agent links a Telegram account.
func (a *API) TelegramCode(c echo.Context) error {
	if a.Bridge == nil {
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeConflict, Message: "There is no Telegram bot: TELEGRAM_BOT_TOKEN is not set."}
	}
	code, expires, err := a.Store.TelegramCode(c.Request().Context(), models.AgentID(a.account(c).ID))
	if err != nil {
		return err
	}
	return ok(c, struct {
		Code      string `json:"code"`
		ExpiresAt string `json:"expires_at"`
	}{code, stamp(expires)})
}

// UnlinkTelegram removes the link of the agent's Telegram account.
func (a *API) UnlinkTelegram(c echo.Context) error {
	me := a.account(c)
	if me.TelegramID != "" {
		if _, err := a.Agents.Update(c.Request().Context(), me.ID, models.AgentPatch{UnlinkTelegram: true}); err != nil {
			return err
		}
		a.acted(c, audit.Event{Name: audit.TelegramUnlink})
	}
	return ok(c, cleared{Success: true, Message: "No Telegram account is linked."})
}
