package handlers

import (
	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/telegram"
)

// Undelivered responds with the messages set aside because they could not be delivered to Telegram, the state of the channels, and the
// page that cannot connect because its origin is refused.
func (a *API) Undelivered(c echo.Context) error {
	list, err := a.Chat.Undelivered(c.Request().Context(), a.agentActor(c), "")
	if err != nil {
		return err
	}
	channels := []chat.ChannelState{}
	if a.Bridge != nil {
		p := a.Bridge.Health(c.Request().Context()).Trouble
		good := p.Reason == "" || p.Reason == telegram.ReasonAside // messages set aside are in the list
		channels = append(channels, chat.ChannelState{Channel: models.ChannelTelegram, OK: good, Reason: p.Reason, Detail: p.Text, Cure: p.Cure})
	}
	answer := struct {
		Success     bool                `json:"success"`
		Undelivered []chat.Undelivered  `json:"undelivered"`
		Channels    []chat.ChannelState `json:"channels"`
		Refused     *auth.Refused       `json:"refused_origin,omitempty"`
	}{Success: true, Undelivered: list, Channels: channels}
	if refused, found := a.Refusals.Last(c.Request().Context()); found {
		answer.Refused = &refused
	}
	return ok(c, answer)
}

// SendAgain retries one undelivered message. The request is {"thread_id", "message_id"}.
func (a *API) SendAgain(c echo.Context) error {
	var in struct {
		ThreadID  string   `json:"thread_id"`
		MessageID storedID `json:"message_id"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.ThreadID == "" {
		return errMissing
	}
	if err := a.Chat.SendAgain(c.Request().Context(), a.agentActor(c), in.ThreadID, int64(in.MessageID)); err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "The message is being sent again."})
}
