package outbox

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Class is the priority of a call. Lower classes go first.
type Class uint8

// The classes.
const (
	Urgent Class = iota // a user is waiting, as for a sign-in code; may use the reserve
	More                // a further call for a row that is being sent
	Next                // the first call for a row
	classes
)

// Limit is the rate limit of a destination.
type Limit struct {
	Count   int           // calls within Per; 0 = unlimited
	Per     time.Duration //
	Reserve int           // part of Count that is reserved for urgent calls
	Burst   int           // calls that may be made without spacing while the window holds no more than these
	Rates   []*rate.Limiter
}

// Pace spaces out the calls to one destination. It is safe for concurrent use.
//
// Calls beyond the burst are spread over the window of a [Limit], so that no call has to wait for the whole window.
type Pace struct {
	limit Limit
	now   func() time.Time

	mu      sync.Mutex
	done    []time.Time // when the calls in the window were completed, oldest first
	open    int         // slots taken and not completed
	last    time.Time   // when the last non-urgent slot was taken
	until   time.Time   // end of a pause requested by the destination
	waiting [classes]int
	changed chan struct{}
}

// NewPace returns the pace of one destination.
func NewPace(l Limit, now func() time.Time) *Pace {
	return &Pace{limit: l, now: now, changed: make(chan struct{})}
}

// Slot is the permission for one call.
type Slot struct {
	pace *Pace
	once sync.Once
}

// Done counts the call, which was answered or may have arrived: destinations count calls when they arrive.
func (s *Slot) Done() { s.end(true) }

// Cancel returns the slot; it does nothing after Done.
func (s *Slot) Cancel() { s.end(false) }

func (s *Slot) end(used bool) {
	if s == nil {
		return
	}
	s.once.Do(func() {
		p := s.pace
		p.mu.Lock()
		defer p.mu.Unlock()
		p.open--
		if used && p.limit.Count > 0 {
			p.done = append(p.done, p.now())
		}
		p.notify()
	})
}

// notify signals a change to all waiting calls. The caller holds the lock.
func (p *Pace) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Take waits for a slot. The caller must end it.
func (p *Pace) Take(ctx context.Context, c Class) (*Slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[c]++
	defer func() {
		p.waiting[c]--
		p.notify()
	}()
	for {
		d, bounded := p.delay(c)
		if bounded && d <= 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			p.open++
			if c != Urgent {
				p.last = p.now()
			}
			return &Slot{pace: p}, nil
		}
		changed := p.changed
		p.mu.Unlock()
		err := waitFor(ctx, changed, d, bounded)
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

// waitFor waits for d if bounded, or until changed is closed.
func waitFor(ctx context.Context, changed <-chan struct{}, d time.Duration, bounded bool) error {
	var expired <-chan time.Time
	if bounded {
		t := time.NewTimer(d)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-ctx.Done():
	case <-changed:
	case <-expired:
	}
	return ctx.Err()
}

// delay returns how long a class has to wait, as far as is known; bounded is false if that depends on calls in progress. The caller
// holds the lock.
func (p *Pace) delay(c Class) (d time.Duration, bounded bool) {
	now := p.now()
	if d := p.until.Sub(now); d > 0 {
		return d, true
	}
	for lower := range c {
		if p.waiting[lower] > 0 {
			return 0, false
		}
	}
	if d, bounded := p.window(c, now); !bounded || d > 0 {
		return d, bounded
	}
	var taken []*rate.Reservation
	for _, l := range p.limit.Rates {
		r := l.ReserveN(now, 1)
		if wait := r.DelayFrom(now); wait > 0 && c != Urgent {
			r.CancelAt(now)
			for _, other := range taken {
				other.CancelAt(now)
			}
			return wait, true
		}
		taken = append(taken, r)
	}
	return 0, true
}

// window is the part of delay that results from the window.
func (p *Pace) window(c Class, now time.Time) (d time.Duration, bounded bool) {
	l := p.limit
	if l.Count <= 0 {
		return 0, true
	}
	for len(p.done) > 0 && now.Sub(p.done[0]) >= l.Per {
		p.done = p.done[1:]
	}
	most := l.Count
	if c != Urgent {
		most = max(l.Count-l.Reserve, 1)
	}
	used := len(p.done) + p.open
	if over := used - most; over >= 0 {
		if over >= len(p.done) {
			return 0, false
		}
		return p.done[over].Add(l.Per).Sub(now), true
	}
	if c == Urgent || used < l.Burst {
		return 0, true
	}
	left := l.Per // time until the oldest call leaves the window
	if len(p.done) > 0 {
		left = p.done[0].Add(l.Per).Sub(now)
	}
	return p.last.Add(left / time.Duration(most-used)).Sub(now), true
}

// Pause delays all calls for a time, as requested by the destination.
func (p *Pace) Pause(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := p.now().Add(d); until.After(p.until) {
		p.until = until
		p.notify()
	}
}

// Paused returns the remaining time of a pause.
func (p *Pace) Paused() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until.Sub(p.now())
}
