package handlers

import (
	"github.com/labstack/echo/v4"
)

// Webhook passes a Telegram update to the bridge.
func (a *API) Webhook(c echo.Context) error {
	if a.Bridge == nil {
		return echo.ErrNotFound
	}
	a.Bridge.ServeHTTP(c.Response(), c.Request())
	return nil
}
