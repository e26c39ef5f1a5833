package handlers

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/models"
	"sohbet/server/apperr"
)

// repair is a maintenance action for agents. Its result is a set of numbers, which the page turns into text.
type repair struct {
	name string
	do   func(context.Context) (map[string]int64, error)
}

// repairTimeout bounds a repair; compacting a large database takes long.
const repairTimeout = 10 * time.Minute

func (a *API) repairs() []repair {
	list := []repair{{"compact", a.compact}, {"purge", a.purge}}
	if a.Bridge != nil {
		list = append(list, repair{"resend", a.resend}, repair{"reconnect", a.reconnect})
	}
	return list
}

func (a *API) compact(ctx context.Context) (map[string]int64, error) {
	c, err := a.Store.Compact(ctx)
	return map[string]int64{"before_bytes": c.Before, "after_bytes": c.After}, err
}

func (a *API) purge(ctx context.Context) (map[string]int64, error) {
	codes, err := a.Store.PurgeCodes(ctx, a.Store.Now())
	if err != nil {
		return nil, err
	}
	swept, err := a.Chat.Sweep(ctx, 0)
	if err != nil {
		return nil, err
	}
	a.Media.Sweep(ctx)
	return map[string]int64{"codes": codes, "threads": int64(swept.Threads)}, nil
}

func (a *API) resend(ctx context.Context) (map[string]int64, error) {
	found := a.Bridge.Health(ctx)
	waiting := found.Waiting + found.Aside
	if _, err := a.Store.OutboxSendAgain(ctx, models.ChannelTelegram, "", 0); err != nil {
		return nil, err
	}
	return map[string]int64{"waiting": waiting}, a.Store.OutboxRetry(ctx)
}

func (a *API) reconnect(context.Context) (map[string]int64, error) {
	a.Bridge.Reconnect()
	return map[string]int64{}, nil
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
	result, err := list[i].do(ctx)
	if err != nil {
		return err
	}
	a.log.InfoContext(ctx, "repair", "name", in.Name, "result", result)
	return ok(c, struct {
		Success bool             `json:"success"`
		Result  map[string]int64 `json:"result"`
	}{true, result})
}
