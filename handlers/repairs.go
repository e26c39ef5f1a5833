package handlers

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/chat"
	"sohbet/server/jobs"
)

// repair is a maintenance action for agents. Its result is a set of numbers, which the page turns into text.
type repair struct {
	name string
	do   func(context.Context) (map[string]int64, models.Job, error) // the job is one that is not finished
}

// repairTimeout bounds a repair. What takes longer is done by a job.
const repairTimeout = time.Minute

func (a *API) repairs() []repair {
	list := []repair{{"compact", a.compact}, {"purge", a.purge}}
	if a.Bridge != nil {
		list = append(list, repair{"resend", a.resend}, repair{"reconnect", a.reconnect})
	}
	return list
}

// repairBy starts a job, waits for it, and returns its state.
func repairBy[State any](ctx context.Context, a *API, kind, subject string) (s State, j models.Job, err error) {
	if j, err = a.Store.StartJob(ctx, kind, subject); err != nil {
		return s, j, err
	}
	j = jobs.Wait(ctx, a.Store, j, jobWait)
	s, err = jobs.Decode[State](j)
	return s, j, err
}

func (a *API) compact(ctx context.Context) (map[string]int64, models.Job, error) {
	c, j, err := repairBy[models.Compacted](ctx, a, models.JobCompact, "")
	result := map[string]int64{"before_bytes": c.Before, "after_bytes": c.After}
	if c.Whole {
		result["whole"] = 1
	}
	return result, j, err
}

func (a *API) purge(ctx context.Context) (map[string]int64, models.Job, error) {
	codes, err := a.Store.PurgeCodes(ctx, a.Store.Now())
	if err != nil {
		return nil, models.Job{}, err
	}
	swept, j, err := repairBy[chat.Swept](ctx, a, models.JobPrune, "0")
	if err != nil {
		return nil, j, err
	}
	a.Media.Sweep(ctx)
	return map[string]int64{"codes": codes, "threads": int64(swept.Threads)}, j, nil
}

func (a *API) resend(ctx context.Context) (map[string]int64, models.Job, error) {
	found := a.Bridge.Health(ctx)
	waiting := found.Waiting + found.Aside
	if _, err := a.Store.OutboxSendAgain(ctx, models.ChannelTelegram, "", 0); err != nil {
		return nil, models.Job{}, err
	}
	return map[string]int64{"waiting": waiting}, models.Job{}, a.Store.OutboxRetry(ctx)
}

func (a *API) reconnect(context.Context) (map[string]int64, models.Job, error) {
	a.Bridge.Reconnect()
	return map[string]int64{}, models.Job{}, nil
}

// Repair runs the repair named in the body: {"name"}. Only one runs at a time.
func (a *API) Repair(c echo.Context) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	list := a.repairs()
	i := slices.IndexFunc(list, func(r repair) bool { return r.name == in.Name })
	if i < 0 {
		return &apperr.Error{Status: http.StatusBadRequest, Code: apperr.CodeValidation, Message: "There is no such repair."}
	}
	if !a.repairing.TryLock() {
		return &apperr.Error{Status: http.StatusConflict, Code: apperr.CodeValidation, Message: "Another repair is running; wait until it is done."}
	}
	defer a.repairing.Unlock()
	// A repair may take long, and it must not be interrupted if the agent leaves the page.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(repairTimeout + time.Minute)) // test recorders do not support deadlines
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), repairTimeout)
	defer cancel()
	result, j, err := list[i].do(ctx)
	if err != nil {
		return err
	}
	var job *chat.JobView
	if j.Unfinished() {
		view := chat.ViewJob(j)
		job = &view
	}
	a.acted(c, audit.Event{Name: audit.Repair, Detail: in.Name})
	a.log.InfoContext(ctx, "repair", "name", in.Name, "result", result)
	return ok(c, struct {
		Success bool             `json:"success"`
		Result  map[string]int64 `json:"result"`
		Job     *chat.JobView    `json:"job,omitempty"` // it is not done yet
	}{true, result, job})
}
