package handlers

import (
	"github.com/labstack/echo/v4"

	"sohbet/server/chat"
)

// Canned responds with an array of the canned replies, ordered by shortcut.
func (a *API) Canned(c echo.Context) error {
	list, err := a.Chat.Canned(c.Request().Context(), a.agentActor(c))
	if err != nil {
		return err
	}
	return ok(c, list)
}

// SaveCanned inserts a canned reply, {"shortcut", "text"}, or with an "id" updates one. It responds with 409 if another reply has the
// shortcut.
func (a *API) SaveCanned(c echo.Context) error {
	var in struct {
		ID       storedID `json:"id" form:"id"`
		Shortcut string   `json:"shortcut" form:"shortcut"`
		Text     string   `json:"text" form:"text"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	saved, err := a.Chat.SaveCanned(c.Request().Context(), a.agentActor(c), chat.Canned{ID: int64(in.ID), Shortcut: in.Shortcut, Text: in.Text})
	if err != nil {
		return err
	}
	return ok(c, struct {
		Success bool        `json:"success"`
		Canned  chat.Canned `json:"canned"`
	}{true, saved})
}

// DeleteCanned deletes the canned reply with the "id".
func (a *API) DeleteCanned(c echo.Context) error {
	var in struct {
		ID storedID `json:"id" form:"id"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := a.Chat.DeleteCanned(c.Request().Context(), a.agentActor(c), int64(in.ID)); err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "The reply was deleted."})
}
