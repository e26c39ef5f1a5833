package outbox

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"sohbet/models"
	"sohbet/server/signal"
)

// journal holds records of what was delivered that could not be stored, by the id of the first row. It lives as long as the process.
type journal struct {
	mu      sync.Mutex
	records map[int64]func(context.Context) error
	wake    signal.Signal
	storing sync.Mutex // held while a record is stored
}

func (j *journal) add(id int64, do func(context.Context) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.records == nil {
		j.records = make(map[int64]func(context.Context) error)
	}
	j.records[id] = do
	j.wake.Set()
}

// clear reports whether none of the rows is in the journal, and may thus be sent.
func (j *journal) clear(rows []models.OutboxRow) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, row := range rows {
		if j.records[row.ID] != nil {
			return false
		}
	}
	return true
}

func (j *journal) store(ctx context.Context, id int64) error {
	j.storing.Lock()
	defer j.storing.Unlock()
	j.mu.Lock()
	do := j.records[id]
	j.mu.Unlock()
	if do == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(models.WithoutLease(ctx), lastCall)
	defer cancel()
	err := do(ctx)
	if err == nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.records, id)
	}
	return err
}

// RunJournal stores what could not be recorded when it was delivered, until ctx ends. It runs whether or not this process has the lease.
func (s *Sender) RunJournal(ctx context.Context) {
	for ctx.Err() == nil {
		s.journal.mu.Lock()
		pending := maps.Clone(s.journal.records)
		s.journal.mu.Unlock()
		failed := false
		for id := range pending {
			if err := s.journal.store(ctx, id); err != nil {
				s.Log.Debug("outbox: failed to record sent rows; retrying", slog.String("channel", s.Channel), slog.Any("error", err))
				failed = true
				break
			}
			s.Log.Info("outbox: recorded rows that were sent before", slog.String("channel", s.Channel))
		}
		if failed {
			_ = Sleep(ctx, time.Second) // ctx is checked next
			continue
		}
		select {
		case <-s.journal.wake:
		case <-ctx.Done():
		}
	}
}
