package chat

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"sohbet/models"
)

const (
	sweepEvery = time.Hour
	emptyAfter = 24 * time.Hour // how long a thread without messages is kept after its visitor was last active
	batchPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// RunRetention starts a job that deletes expired data, see [Service.Prune], immediately and then every hour, until ctx ends.
func (s *Service) RunRetention(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if _, err := s.store.StartJob(ctx, models.JobPrune, ""); err != nil && ctx.Err() == nil {
			s.log.Error("failed to start the deletion of expired data; retrying in an hour", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Swept is the number of items that a sweep deleted.
type Swept struct {
	Messages int `json:"messages"`
	Threads  int `json:"threads"`
}

// Prune returns the work of a [models.JobPrune]: a Sweep, whose state is a [Swept]. A job without a number of days uses what keep returns.
func (s *Service) Prune(keep func() time.Duration) func(ctx context.Context, j models.Job, report func(func(*models.Job))) error {
	return func(ctx context.Context, j models.Job, report func(func(*models.Job))) error {
		keep := keep()
		if j.Subject != "" {
			days, err := strconv.Atoi(j.Subject)
			if err != nil {
				return err
			}
			keep = time.Duration(days) * 24 * time.Hour
		}
		var before Swept
		if j.State != "" {
			if err := json.Unmarshal([]byte(j.State), &before); err != nil {
				return err
			}
		}
		if keep > 0 {
			left, err := s.store.CountExpired(ctx, s.now().Add(-keep))
			if err != nil {
				return err
			}
			report(func(j *models.Job) { j.Total = j.Done + left })
		}
		_, err := s.sweep(ctx, keep, func(n Swept) {
			state, err := json.Marshal(Swept{before.Messages + n.Messages, before.Threads + n.Threads})
			if err != nil {
				panic(err) // only numbers
			}
			report(func(j *models.Job) { j.State, j.Done = string(state), int64(before.Messages+n.Messages) })
		})
		return err
	}
}

// Sweep deletes expired data: messages and notes older than keep (0 keeps them forever), threads without any message for a day, and threads
// emptied by an agent whose last message is older than keep. It deletes in small batches, with pauses for other writers. For threads that
// lost messages it emits "messages_deleted" to their rooms and agents ("note_deleted" to agents for notes), and "thread_cleared" for
// deleted threads.
func (s *Service) Sweep(ctx context.Context, keep time.Duration) (swept Swept, err error) {
	return s.sweep(ctx, keep, func(Swept) {})
}

func (s *Service) sweep(ctx context.Context, keep time.Duration, report func(Swept)) (swept Swept, err error) {
	if err := s.store.RepairTimes(ctx); err != nil {
		return swept, err
	}
	now := s.now()
	for more := keep > 0; more; {
		start := time.Now()
		expired, some, err := s.store.Expire(ctx, now.Add(-keep))
		if err != nil {
			return swept, err
		}
		for _, e := range expired {
			swept.Messages += len(e.Messages)
			if e.Cleared {
				swept.Threads++
				s.publishCleared(cleared{ThreadID: e.ThreadID, LastID: e.LastID, Rev: e.Rev})
				continue
			}
			list := []*Event{{"messages_deleted", deleted{ThreadID: e.ThreadID, IDs: e.Messages, Rev: e.Rev}}}
			s.publisher.Publish(Publication{ThreadID: e.ThreadID, Thread: list, Agents: list})
			if e.Marked {
				s.publishCurrent(ctx, e.ThreadID)
			}
		}
		report(swept)
		if more = some; more && !rest(ctx, start) {
			return swept, ctx.Err()
		}
	}
	for more := keep > 0; more; {
		start := time.Now()
		gone, some, err := s.store.ExpireNotes(ctx, now.Add(-keep))
		if err != nil {
			return swept, err
		}
		for _, n := range gone {
			s.publishNoteDeleted(n.ThreadID, n.ID)
		}
		if more = some; more && !rest(ctx, start) {
			return swept, ctx.Err()
		}
	}
	var written time.Time // zero with unlimited retention
	if keep > 0 {
		written = now.Add(-keep)
	}
	for more := true; more; {
		start := time.Now()
		removed, some, err := s.store.RemoveEmpty(ctx, now.Add(-emptyAfter), written)
		if err != nil {
			return swept, err
		}
		swept.Threads += len(removed)
		for _, e := range removed {
			s.publishCleared(cleared{ThreadID: e.ThreadID, LastID: e.LastID, Rev: e.Rev})
		}
		report(swept)
		if more = some; more && !rest(ctx, start) {
			return swept, ctx.Err()
		}
	}
	if err := s.store.TrimFirstAnswers(ctx); err != nil {
		return swept, err
	}
	for more := s.auditRetention > 0; more; {
		start := time.Now()
		if more, err = s.store.ExpireAudit(ctx, now.Add(-s.auditRetention)); err != nil {
			return swept, err
		}
		if more && !rest(ctx, start) {
			return swept, ctx.Err()
		}
	}
	if swept != (Swept{}) {
		s.log.Info("deleted expired data", "messages", swept.Messages, "threads", swept.Threads)
	}
	return swept, nil
}

// rest pauses for as long as the work since start took, so that at most half of the time is used. It reports whether ctx is still
// active.
func rest(ctx context.Context, start time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(min(max(batchPause, time.Since(start)), mostPause)):
		return true
	}
}
