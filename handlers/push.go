package handlers

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"sohbet/server/chat"
	"sohbet/server/push"
	"sohbet/server/realtime"
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
	if err := a.Push.Subscribe(c.Request().Context(), in, session.ID, session.ExpiresAt, contact); err != nil {
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
		return invalid("endpoint is missing.")
	}
	if err := a.Push.Unsubscribe(c.Request().Context(), in.Endpoint); err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "Push notifications are disabled for this browser."})
}

// presence records whether an agent's console is visible.
func (p *peer) presence(_ context.Context, in input, e realtime.Event) error {
	if _, err := p.agent(); err != nil {
		return err
	}
	if in.Visible == nil {
		return &chat.Error{Code: chat.CodeValidation, Field: "visible", Message: "visible must be true or false.", Status: http.StatusBadRequest}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.h.Consoles.InView(p.socket.ID(), *in.Visible)
	}
	answerEvent(e, nil)
	return nil
}
