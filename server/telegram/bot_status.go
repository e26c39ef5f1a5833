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

// state is the health of the bridge.
type state struct {
	now     func() time.Time
	last    atomic.Pointer[time.Time] // time of Telegram's last response; nil = never
	leading atomic.Bool

	sent, received, failed atomic.Int64
	conflicted             atomic.Pointer[time.Time] // last time another program was found to receive the updates, like last

	mu       sync.Mutex
	troubles map[string]trouble // by kind of work
	told     Problem            // last argument of tell
	tell     func(Problem)      // called when the problem changes; must not block
}

// trouble is a current error.
type trouble struct {
	Problem
	silent bool // Telegram did not respond
}

// updateReceived records a response of Telegram.
func (s *state) updateReceived() {
	now := s.now()
	s.last.Store(&now)
	s.mu.Lock()
	defer s.mu.Unlock()
	for work, p := range s.troubles {
		if p.silent {
			delete(s.troubles, work)
		}
	}
	s.change()
}

// change calls tell if the problem changed. The caller holds the lock.
func (s *state) change() {
	if now := s.worst(); now != s.told {
		s.told = now
		s.tell(now)
	}
}

// contact returns the time of Telegram's last response.
func (s *state) contact() time.Time {
	return momentOf(&s.last)
}

// conflict returns the last time at which another program was found to receive the updates; the zero time is never.
func (s *state) conflict() time.Time {
	return momentOf(&s.conflicted)
}

// momentOf returns a stored time with its reading of the monotonic clock, by which durations are right although the clock was set.
func momentOf(p *atomic.Pointer[time.Time]) time.Time {
	if at := p.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// noted records the result of a kind of work.
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

// troubled reports whether the last result of a kind of work was an error.
func (s *state) troubled(work string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.troubles[work].Reason != ""
}

// trouble returns the current problem; the zero Problem if there is none.
func (s *state) trouble() Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worst()
}

// worst is trouble for callers that hold the lock.
func (s *state) worst() Problem {
	for _, work := range [...]string{"send", "receive", "contact"} {
		if why := s.troubles[work].Problem; why.Reason != "" {
			return why
		}
	}
	return Problem{}
}

// Health is the state of the bridge for /health and the metrics.
type Health struct {
	LastContact time.Time // time of Telegram's last response; zero = never
	Trouble     Problem   // the zero Problem = none
	MovedTo     int64     // the group's new id, if it became a supergroup and the settings have the old one; else 0
	Leading     bool      // this process holds the lease
	Waiting     int64     // pending rows in the outbox
	Aside       int64     // rows set aside until an agent retries them
	Oldest      time.Time // when the oldest pending row was written; zero = none

	Sent, Received, Failed int64 // messages and updates since the start; failed calls
}

// Health returns the state of the bridge.
func (b *Bridge) Health(ctx context.Context) Health {
	h := Health{
		LastContact: b.state.contact(), Trouble: b.state.trouble(), Leading: b.state.leading.Load(),
		Sent: b.state.sent.Load(), Received: b.state.received.Load(), Failed: b.state.failed.Load(),
	}
	if b.formerChatID() != 0 {
		h.MovedTo = int64(b.recipient())
	}
	if backlog, err := b.store.OutboxBacklog(ctx, models.ChannelTelegram); err == nil {
		h.Waiting, h.Oldest, h.Aside = backlog.Rows, backlog.Oldest, backlog.Aside
		if h.Trouble.Reason == "" && h.Aside > 0 {
			h.Trouble = problem(ReasonAside, strconv.FormatInt(h.Aside, 10))
		}
	}
	return h
}
