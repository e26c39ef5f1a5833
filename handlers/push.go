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

// PushKey answers with the key for which an agent's browser subscribes.
func (a *API) PushKey(c echo.Context) error {
	key, err := a.Push.Key(c.Request().Context())
	if err != nil {
		return err
	}
	return ok(c, struct {
		Key string `json:"key"`
	}{key})
}

// PushSubscribe takes an agent's browser in until the session ends: what its PushManager gave, and "locale".
func (a *API) PushSubscribe(c echo.Context) error {
	var in push.Subscription
	if err := decode(c, &in); err != nil {
		return err
	}
	session, _ := a.agent(c)
	contact := a.PublicURL // a push service wants to know whom to ask
	if !strings.HasPrefix(contact, "https://") {
		contact = "https://" + c.Request().Host // browsers subscribe over https alone
	}
	if err := a.Push.Subscribe(c.Request().Context(), in, session.ID, session.ExpiresAt, contact); err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "This browser is told of messages."})
}

// PushUnsubscribe lets an agent's browser go: {"endpoint"}.
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
	return ok(c, cleared{Success: true, Message: "This browser is not told of messages any more."})
}

// presence says whether an agent is looking at the console.
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
