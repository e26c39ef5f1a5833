package handlers

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/jobs"
)

const maxThreads = 1000 // per response

// agentActor returns the actor for a signed-in agent. The routes that use it are behind AgentsOnly.
func (a *API) agentActor(c echo.Context) chat.Actor {
	actor := agentActor(a.account(c))
	actor.Address = auth.AddressKey(a.Address(c.Request()))
	actor.Browser, actor.Platform = client(c.Request().UserAgent())
	return actor
}

// account returns the account of a signed-in agent as it is now.
func (a *API) account(c echo.Context) models.Agent {
	s, _ := a.agent(c)
	who, _ := a.Store.Agent(s.Agent)
	return who
}

func agentActor(who models.Agent) chat.Actor {
	return chat.Actor{Role: chat.Agent, Name: who.Name, AgentID: models.AgentID(who.ID), Owner: who.Role == models.RoleOwner}
}

// Threads responds with an array of the threads that have messages, newest message first: ?limit=, ?before= (the time of a last
// message, with ?before_id= for threads of the same millisecond), ?q=, ?status=, ?assignee= (an agent, or "none" for active threads
// without one). The default page is large because older clients do not page.
func (a *API) Threads(c echo.Context) error {
	q := models.ThreadQuery{Limit: maxThreads, Search: c.QueryParam("q"), Status: c.QueryParam("status"),
		BeforeID: c.QueryParam("before_id")}
	if err := number(c, "limit", 1, &q.Limit); err != nil {
		return err
	}
	q.Limit = min(q.Limit, maxThreads)
	if text := c.QueryParam("before"); text != "" {
		before, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return apperr.Invalid("", "before must be a time such as 2026-01-02T03:04:05.000Z.")
		}
		q.Before = before
	}
	if q.Status != "" && q.Status != models.StatusActive && q.Status != models.StatusClosed && q.Status != models.StatusWaiting {
		return apperr.Invalid("", "status must be active, waiting or closed.")
	}
	if text := c.QueryParam("assignee"); text == "none" {
		q.Assignee = new(models.AgentID)
	} else if text != "" {
		id, ok := parseID(text)
		if !ok || id == 0 {
			return apperr.Invalid("", "assignee must be the id of an agent, or none.")
		}
		q.Assignee = new(models.AgentID(id))
	}
	threads, err := a.Chat.Threads(c.Request().Context(), a.agentActor(c), q)
	if err != nil {
		return err
	}
	if threads == nil {
		threads = []chat.ThreadView{}
	}
	return ok(c, threads)
}

// ThreadCounts responds with the number of threads: {active, waiting, closed, unread} and, with ?q=, {found}.
func (a *API) ThreadCounts(c echo.Context) error {
	counts, err := a.Chat.ThreadCounts(c.Request().Context(), a.agentActor(c), c.QueryParam("q"))
	if err != nil {
		return err
	}
	return ok(c, counts)
}

// cleared is the successful response of routes that delete, and of others without data.
type cleared struct {
	Success bool          `json:"success"`
	Message string        `json:"message"`
	Job     *chat.JobView `json:"job,omitempty"` // what is not done yet
}

// jobWait is how long a response waits for a job, unless the client asks for the job with ?job=1. The job does not depend on it.
const jobWait = 10 * time.Second

// waitFor waits for a job, and returns it if it has work left.
func (a *API) waitFor(c echo.Context, j models.Job) *chat.JobView {
	if c.QueryParam("job") != "1" {
		j = jobs.Wait(c.Request().Context(), a.Store, j, jobWait)
	}
	if !j.Unfinished() {
		return nil
	}
	view := chat.ViewJob(j)
	return &view
}

// Clear deletes the messages of one thread, which stays in the list; its id is in ?thread_id= or in the body.
func (a *API) Clear(c echo.Context) error {
	return a.clear(c, c.QueryParam("thread_id"), a.Chat.Clear, "The conversation was emptied.")
}

// Delete deletes one thread and everything in it; its id is in the body.
func (a *API) Delete(c echo.Context) error {
	return a.clear(c, "", a.Chat.Delete, "The conversation was deleted.")
}

func (a *API) clear(c echo.Context, id string, act func(context.Context, chat.Actor, string) (models.Job, error), done string) error {
	in := struct {
		ThreadID string `json:"thread_id" form:"thread_id"`
	}{ThreadID: id}
	if in.ThreadID == "" {
		if err := decode(c, &in); err != nil {
			return err
		}
	}
	if in.ThreadID == "" {
		return errMissing
	}
	j, err := act(c.Request().Context(), a.agentActor(c), in.ThreadID)
	if err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: done, Job: a.waitFor(c, j)})
}

// ClearAll deletes every thread.
func (a *API) ClearAll(c echo.Context) error {
	j, _, err := a.Chat.ClearAll(c.Request().Context(), a.agentActor(c))
	if err != nil {
		return err
	}
	return ok(c, cleared{Success: true, Message: "All conversations were deleted.", Job: a.waitFor(c, j)})
}
