package chat

import (
	"context"
	"log/slog"
	"time"
)

const (
	sweepEvery = time.Hour
	emptyAfter = 24 * time.Hour // how long a thread without messages is kept after its visitor was last active
	batchPause = 20 * time.Millisecond
)

// RunRetention deletes expired data immediately and then every hour, until ctx ends: messages and notes older than keep (0 keeps them
// forever), threads without any message for a day, and threads emptied by an agent whose last message is older than keep.
func (s *Service) RunRetention(ctx context.Context, keep time.Duration) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx, keep); err != nil && ctx.Err() == nil {
			s.log.Error("retention sweep failed; retrying in an hour", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Swept is the number of items that a sweep deleted.
type Swept struct{ Messages, Threads int }

// Sweep runs RunRetention once. It deletes in small batches, with pauses for other writers. For threads that lost messages it emits
// "messages_deleted" to their rooms and agents ("note_deleted" to agents for notes), and "thread_cleared" for deleted threads.
func (s *Service) Sweep(ctx context.Context, keep time.Duration) (swept Swept, err error) {
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
				s.publishCleared(cleared{ThreadID: e.ThreadID})
				continue
			}
			list := []*Event{{"messages_deleted", deleted{ThreadID: e.ThreadID, IDs: e.Messages}}}
			s.publisher.Publish(Publication{ThreadID: e.ThreadID, Thread: list, Agents: list})
		}
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
		for _, id := range removed {
			s.publishCleared(cleared{ThreadID: id})
		}
		if more = some; more && !rest(ctx, start) {
			return swept, ctx.Err()
		}
	}
	if err := s.store.TrimFirstAnswers(ctx); err != nil {
		return swept, err
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
	case <-time.After(max(batchPause, time.Since(start))):
		return true
	}
}
