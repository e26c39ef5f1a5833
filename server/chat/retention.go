package chat

import (
	"context"
	"log/slog"
	"time"
)

const (
	sweepEvery = time.Hour
	emptyAfter = 24 * time.Hour // how long a thread is kept whose visitor never wrote and is gone
	breath     = 20 * time.Millisecond
)

// KeepHouse deletes what has had its time, at once and then every hour, until ctx ends: messages and notes older than keep (0 keeps
// them for ever), threads in which nobody wrote for a day, and threads that an agent emptied whose last message was older than keep.
func (s *Service) KeepHouse(ctx context.Context, keep time.Duration) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx, keep); err != nil && ctx.Err() == nil {
			s.log.Error("not everything that is due was deleted; it is tried again in an hour", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Swept counts what a sweep deleted.
type Swept struct{ Messages, Threads int }

// Sweep is one round of KeepHouse. It deletes in small batches with pauses in which others write. Rooms and agents hear
// "messages_deleted" of a thread that lost some (agents "note_deleted"), and "thread_cleared" of one that is gone.
func (s *Service) Sweep(ctx context.Context, keep time.Duration) (swept Swept, err error) {
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
				s.tellCleared(cleared{ThreadID: e.ThreadID})
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
			s.tellNoteDeleted(n.ThreadID, n.ID)
		}
		if more = some; more && !rest(ctx, start) {
			return swept, ctx.Err()
		}
	}
	var written time.Time // what is kept for ever has no such time
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
			s.tellCleared(cleared{ThreadID: id})
		}
		if more = some; more && !rest(ctx, start) {
			return swept, ctx.Err()
		}
	}
	if err := s.store.TrimAnswers(ctx); err != nil {
		return swept, err
	}
	if swept != (Swept{}) {
		s.log.Info("deleted what had its time", "messages", swept.Messages, "threads", swept.Threads)
	}
	return swept, nil
}

// rest waits as long as the work since start took, so that half the time belongs to others. It reports whether ctx goes on.
func rest(ctx context.Context, start time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(max(breath, time.Since(start))):
		return true
	}
}
