package handlers

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
)

// issueSession starts a session of an agent in the browser of a request, on a page of an origin.
func (a *API) issueSession(c echo.Context, who models.Agent, origin string) error {
	r := c.Request()
	browser, platform := client(r.UserAgent())
	_, err := a.Sessions.IssueTo(c.Response(), r, accountOf(who), auth.Browser{
		Origin: origin, Client: models.SessionClient{Browser: browser, Platform: platform, Address: a.Address(r)},
	})
	return err
}

// sessionView is docs/protocol.md, "Session object".
type sessionView struct {
	ID        string `json:"id"`
	Browser   string `json:"browser"`
	Platform  string `json:"platform"`
	Address   string `json:"address"`
	StartedAt string `json:"started_at"`
	SeenAt    string `json:"seen_at"`
	Current   bool   `json:"current"`
}

// ListSessions responds with an array of the agent's sessions.
func (a *API) ListSessions(c echo.Context) error {
	current, _ := a.agent(c)
	sessions, err := a.Sessions.List(c.Request().Context(), a.account(c))
	if err != nil {
		return err
	}
	list := []sessionView{}
	for _, s := range sessions {
		list = append(list, sessionView{s.ID, s.Browser, s.Platform, s.Address, stamp(*s.StartedAt), stamp(s.SeenAt), s.ID == current.ID})
	}
	return ok(c, list)
}

// EndSessions ends one of the agent's sessions, or all but this one: {id} or {others: true}.
func (a *API) EndSessions(c echo.Context) error {
	var in struct {
		ID     string `json:"id" form:"id"`
		Others bool   `json:"others" form:"others"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	session, _ := a.agent(c)
	me := a.account(c)
	switch {
	case in.Others == (in.ID != ""):
		return apperr.Invalid("id", "Either id or others must be given.")
	case in.Others:
		changed, err := a.Agents.Update(c.Request().Context(), me.ID, models.AgentPatch{EndSessions: true})
		if err != nil {
			return err
		}
		if err := a.issueSession(c, changed, session.Origin); err != nil {
			return err
		}
	default:
		err := a.Store.EndSessionOf(c.Request().Context(), me.ID, in.ID)
		if errors.Is(err, models.ErrNotFound) {
			return &apperr.Error{Status: http.StatusNotFound, Code: apperr.CodeNotFound, Message: "There is no such session."}
		}
		if err != nil {
			return err
		}
	}
	a.security(c, audit.SessionsEnd, me.Name, audit.OK) // the session of the request may have ended
	return ok(c, cleared{Success: true, Message: "Signed out there."})
}
