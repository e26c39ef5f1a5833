package handlers

import (
	"strings"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/push"
)

// PushKey responds with the VAPID public key that browsers subscribe with.
func (a *API) PushKey(c echo.Context) error {
	key, err := a.Push.Key(c.Request().Context())
	if err != nil {
		return err
	}
	return ok(c, struct {
		Key string `json:"key"`
	}{key})
}

// PushSubscribe stores the push subscription of an agent's browser until the session ends: the subscription's JSON, and "locale".
func (a *API) PushSubscribe(c echo.Context) error {
	var in push.Subscription
	if err := decode(c, &in); err != nil {
		return err
	}
	session, _ := a.agent(c)
	contact := a.PublicURL // push services require a contact address
	if !strings.HasPrefix(contact, "https://") {
		contact = "https://" + c.Request().Host // browsers allow subscriptions only over https
	}
	if err := a.Push.Subscribe(c.Request().Context(), in, session.ID, models.AgentID(a.account(c).ID), session.ExpiresAt, contact); err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "Push notifications are enabled for this browser."})
}

// PushUnsubscribe deletes the push subscription of an agent's browser: {"endpoint"}.
func (a *API) PushUnsubscribe(c echo.Context) error {
	var in struct {
		Endpoint string `json:"endpoint" form:"endpoint"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.Endpoint == "" {
		return apperr.Invalid("", "endpoint is missing.")
	}
	if err := a.Push.Unsubscribe(c.Request().Context(), in.Endpoint); err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "Push notifications are disabled for this browser."})
}
