package handlers

import (
	"github.com/labstack/echo/v4"

	"sohbet/server/chat"
)

// blockInput takes the thread id from the body, because an id in a URL would end up in browser histories and logs.
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

// Block blocks the visitor of a thread and, with "address":true, the address they last connected from. The response says whether an
// address was blocked: none may be known for a visitor.
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

// Unblock removes the block.
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

// Blocks lists the blocked visitors, newest block first.
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
