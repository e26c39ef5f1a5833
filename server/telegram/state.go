package telegram

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sohbet/models"
)

// state is how the bridge fares.
type state struct {
	now     func() time.Time
	last    atomic.Int64 // when Telegram was last heard, in ns since 1970; 0 = never
	leading atomic.Bool

	sent, received, failed atomic.Int64
	conflicted             atomic.Int64 // when another program was last found to take the updates, as last

	mu       sync.Mutex
	troubles map[string]trouble // by what was being done
	told     Problem            // what tell was last called with
	tell     func(Problem)      // hears when what is wrong changes; it must not block
}

// trouble is what is wrong.
type trouble struct {
	Problem
	silent bool // Telegram did not answer
}

// heard notes an answer of Telegram's.
func (s *state) heard() {
	s.last.Store(s.now().UnixNano())
	s.mu.Lock()
	defer s.mu.Unlock()
	for work, p := range s.troubles {
		if p.silent {
			delete(s.troubles, work)
		}
	}
	s.change()
}

// change tells what is wrong, if that is news; the lock is held.
func (s *state) change() {
	if now := s.worst(); now != s.told {
		s.told = now
		s.tell(now)
	}
}

// contact is when Telegram was last heard.
func (s *state) contact() time.Time {
	if ns := s.last.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// conflict is when another program was last found to take the updates; the zero time is never.
func (s *state) conflict() time.Time {
	if ns := s.conflicted.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// noted remembers what a kind of work last met.
func (s *state) noted(work string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.troubles == nil {
		s.troubles = make(map[string]trouble)
	}
	delete(s.troubles, work)
	if err != nil && !errors.Is(err, models.ErrLeaseLost) { // the work is another process's now
		if why := diagnose(err); why.Reason != "" {
			var answer *apiError
			s.troubles[work] = trouble{why, !errors.As(err, &answer)}
		}
	}
	s.change()
}

// troubled reports whether a kind of work met trouble last.
func (s *state) troubled(work string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.troubles[work].Reason != ""
}

// trouble is what is wrong now; the zero Problem for nothing.
func (s *state) trouble() Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worst()
}

// worst is trouble with the lock held.
func (s *state) worst() Problem {
	for _, work := range [...]string{"send", "receive", "contact"} {
		if why := s.troubles[work].Problem; why.Reason != "" {
			return why
		}
	}
	return Problem{}
}

// Health is how the bridge fares, for /health and the metrics.
type Health struct {
	LastContact time.Time // when Telegram last answered; zero = never
	Trouble     Problem   // the zero Problem = none
	MovedTo     int64     // the group's new number, if it became a supergroup and the settings hold the old one; else 0
	Leading     bool      // this process sends and receives
	Waiting     int64     // rows in the outbox
	Aside       int64     // rows that were set aside until an agent sends them again
	Oldest      time.Time // when the oldest of them was written; zero = none

	Sent, Received, Failed int64 // messages and updates since the start; calls that failed
}

// Health tells how the bridge fares.
func (b *Bridge) Health(ctx context.Context) Health {
	h := Health{
		LastContact: b.state.contact(), Trouble: b.state.trouble(), Leading: b.state.leading.Load(),
		Sent: b.state.sent.Load(), Received: b.state.received.Load(), Failed: b.state.failed.Load(),
	}
	if b.former() != 0 {
		h.MovedTo = int64(b.to())
	}
	if backlog, err := b.store.OutboxBacklog(ctx, models.ChannelTelegram); err == nil {
		h.Waiting, h.Oldest, h.Aside = backlog.Rows, backlog.Oldest, backlog.Aside
		if h.Trouble.Reason == "" && h.Aside > 0 {
			h.Trouble = problem(ReasonAside, strconv.FormatInt(h.Aside, 10))
		}
	}
	return h
}
