package handlers

import (
	"github.com/labstack/echo/v4"

	"sohbet/server/chat"
)

// blockInput names the thread in the body: an id in an address would end up in histories and logs.
type blockInput struct {
	ThreadID string `json:"thread_id" form:"thread_id"`
	Address  bool   `json:"address" form:"address"`
}

func (a *API) blockInput(c echo.Context) (in blockInput, err error) {
	if err := decode(c, &in); err != nil {
		return in, err
	}
	if in.ThreadID == "" {
		return in, errMissing
	}
	return in, nil
}

// Block keeps the visitor of a thread away, and with "address":true the address they came from too. The answer says whether
// that is so: no address may be known of a visitor.
func (a *API) Block(c echo.Context) error {
	in, err := a.blockInput(c)
	if err != nil {
		return err
	}
	b, err := a.Chat.BlockVisitor(c.Request().Context(), a.agentActor(c), in.ThreadID, in.Address)
	if err != nil {
		return err
	}
	return ok(c, struct {
		Success bool                `json:"success"`
		Block   chat.BlockedVisitor `json:"block"`
	}{true, b})
}

// Unblock lets them in again.
func (a *API) Unblock(c echo.Context) error {
	in, err := a.blockInput(c)
	if err != nil {
		return err
	}
	if err := a.Chat.Unblock(c.Request().Context(), a.agentActor(c), in.ThreadID); err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "The visitor may write again."})
}

// Blocks lists who is blocked, newest first.
func (a *API) Blocks(c echo.Context) error {
	list, err := a.Chat.Blocks(c.Request().Context(), a.agentActor(c))
	if err != nil {
		return err
	}
	return ok(c, struct {
		Success bool                  `json:"success"`
		Blocks  []chat.BlockedVisitor `json:"blocks"`
	}{true, list})
}
