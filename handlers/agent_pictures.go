package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/agents"
	"sohbet/server/audit"
	"sohbet/server/media"
)

// SetPicture stores the picture in the form field "file" as that of the agent, cropped to a square, and responds with the account.
func (a *API) SetPicture(c echo.Context) error {
	square := func(ctx context.Context, _ string, r io.Reader) ([]byte, error) { return a.Media.Square(ctx, r) }
	data, err := receive(c, media.Image, square, func([]byte) {})
	if err != nil {
		return err
	}
	return a.changePicture(c, data)
}

// RemovePicture removes the picture of the agent, and responds with the account.
func (a *API) RemovePicture(c echo.Context) error { return a.changePicture(c, nil) }

func (a *API) changePicture(c echo.Context, data []byte) error {
	me := a.account(c)
	changed, err := a.Agents.SetPicture(c.Request().Context(), me, data)
	if err != nil {
		return err
	}
	a.security(c, audit.AccountEdit, me.Name, audit.OK)
	return ok(c, a.viewAgent(changed))
}

// AgentPicture serves the picture of an agent. Its URL changes with it.
func (a *API) AgentPicture(c echo.Context) error {
	name := path.Base(c.Request().URL.Path)
	data, err := a.Store.AgentPicture(c.Request().Context(), agents.PicturePath+name)
	if errors.Is(err, models.ErrNotFound) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("Content-Security-Policy", uploadPolicy)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // sites that embed the chat show it
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+name+`"`)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(data))
	return nil
}
