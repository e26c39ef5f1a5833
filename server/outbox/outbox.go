// Package outbox delivers the rows of models' outbox to the world outside: to a chat, a mail server, a webhook. It knows
// the rows, their order and when to try again; what a row means is its [Channel]'s business.
//
// Rows of one key are delivered in order; keys share a destination's pace in turn, and a key whose row fails holds up no
// other. The rows are written in the transaction that caused them, so a row is delivered at least once; twice only if the
// process ends, or the database fails, between the destination's answer and its record.
//
// One process at a time may run the sender of a channel: the one with its lease, see [models.Store.Lease], in whose context Run is
// called. One that lost it sends and records nothing more.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"sohbet/models"
)

// Store is what the sender needs of models.Store.
type Store interface {
	OutboxListen(channel string, f func(keys []models.OutboxKey, retry bool))
	OutboxKeys(ctx context.Context, channel string, after int64) ([]models.OutboxKey, int64, error)
	OutboxRows(ctx context.Context, channel string, k models.OutboxKey, limit int) ([]models.OutboxRow, error)
	OutboxDone(ctx context.Context, ids ...int64) error
	OutboxLater(ctx context.Context, id int64, due time.Time) error
	OutboxSetAside(ctx context.Context, id int64, reason string, at time.Time) error
}

// Channel delivers rows.
type Channel interface {
	// Send delivers the first of d.Rows, with as many of the rows after it as fit into the same call. It bounds its calls
	// in time. It is called in several goroutines, never in two for one key.
	Send(ctx context.Context, d Delivery) Outcome
}

// Delivery is one call for a key.
type Delivery struct {
	Rows     []models.OutboxRow // the first that wait, in order; at least one
	Failures int                // how often the first of them failed since this process sends
	Slot     *Slot              // room for the first call; the sender ends it if the channel does not
}

// Scope is what an error is about.
type Scope uint8

// The scopes.
const (
	Unclear Scope = iota // the row, its key or the destination: what other rows meet decides that
	Whole                // the destination: no row's fault
	Pause                // the destination asked for silence, which the channel told its pace; no failure
)

// Outcome is what became of a delivery.
type Outcome struct {
	// Done are the rows that nothing is left to do for. Record stores that; nil means that the rows are just removed.
	// It is tried until it succeeds. A row of which a part was sent has a Record and is not Done.
	Done   []models.OutboxRow
	Record func(context.Context) error

	// Wait asks for the same rows after a time, or as soon as another row of their key is queued.
	Wait time.Duration

	Err    error // why the first row was not delivered
	Scope  Scope // of Err
	Reason string
	// Aside sets the first row aside at once: it is known to be at fault.
	Aside bool
}

// Options are the parts of a [Sender].
type Options struct {
	Channel string
	Store   Store
	Deliver Channel
	Pace    func(destination string) *Pace
	Workers int // deliveries to one destination at a time
	// Alone is how long a delivery to a destination goes on before the next one may begin beside it; 0 = they begin at once.
	// What a process that is killed had sent and not recorded is sent again: with Alone that is one delivery, unless calls
	// take longer than this.
	Alone time.Duration

	// MaxTries is how often a row may fail, while others of its destination are delivered, before it is set aside.
	MaxTries int
	// Trouble hears how the destination fares: the error of the last try, nil when it works or nothing waits.
	Trouble func(error)
	// Aside hears of rows that were set aside. It must not block for long.
	Aside func(ctx context.Context, row models.OutboxRow, reason string)
	Log   *slog.Logger
	Now   func() time.Time
}

const (
	batch        = 50 // rows of one key that a channel sees
	backoffLow   = 500 * time.Millisecond
	backoffRow   = time.Minute      // the longest wait of one key because of one row
	backoffDest  = 5 * time.Second  // … of a destination in trouble
	backoffWhole = 30 * time.Second // … whose error is about the destination for certain
	troubleAfter = 3                // failures in a row that make a destination one in trouble
	freshEvery   = time.Second      // how often one in trouble is tried with a key that has not failed
	scanEvery    = time.Second      // how often rows of other processes are looked for
	lookEvery    = 50 * time.Millisecond
	scanAllEvery = 15 * time.Second // … also those whose transaction ended after that of a later id
	lastCall     = 4 * time.Second  // how long what was sent may take to be recorded when the process stops
)

// Sender delivers what waits for one channel.
type Sender struct {
	Options
	look chan struct{} // asks for a look at the table

	mu    sync.Mutex
	dests map[string]*dest
	start func(*dest) // nil while the sender does not run
}

// New makes a sender.
func New(o Options) *Sender {
	return &Sender{Options: o, look: make(chan struct{}, 1), dests: make(map[string]*dest)}
}

// Run delivers until ctx ends. What is being delivered then is given a moment to be recorded. It may be called again
// after it returned.
func (s *Sender) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	s.mu.Lock()
	s.dests = make(map[string]*dest)
	s.start = func(d *dest) { running.Go(func() { d.run(ctx) }) }
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.start = nil
		s.mu.Unlock()
	}()
	s.Store.OutboxListen(s.Channel, s.queued)
	defer s.Store.OutboxListen(s.Channel, nil)
	s.scan(ctx)
}

// queued is called with the keys of new rows, or without for some that are not known.
func (s *Sender) queued(keys []models.OutboxKey, retry bool) {
	if retry {
		s.retryAll()
	}
	if keys == nil {
		select {
		case s.look <- struct{}{}:
		default:
		}
		return
	}
	s.add(keys, true)
}

func (s *Sender) add(keys []models.OutboxKey, fresh bool) {
	for _, k := range keys {
		if d := s.dest(k.Destination); d != nil {
			d.add(k, fresh)
		}
	}
}

func (s *Sender) dest(name string) *dest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start == nil {
		return nil
	}
	d := s.dests[name]
	if d == nil {
		d = &dest{s: s, pace: s.Pace(name), keys: make(map[models.OutboxKey]*key), changed: make(chan struct{}, 1)}
		s.dests[name] = d
		s.start(d)
	}
	return d
}

// scan finds the keys of rows that this process was not notified of.
func (s *Sender) scan(ctx context.Context) {
	var newest int64
	var all time.Time
	for {
		now := s.Now()
		full := now.Sub(all) >= scanAllEvery
		after := newest
		if full {
			after, all = 0, now
		}
		keys, seen, err := s.Store.OutboxKeys(ctx, s.Channel, after)
		if err != nil && ctx.Err() == nil {
			s.Log.Debug("outbox: cannot be read", slog.String("channel", s.Channel), slog.Any("error", err))
		}
		newest = max(newest, seen)
		s.add(keys, after > 0)
		if err == nil && full && len(keys) == 0 {
			s.Trouble(nil) // what could not be sent was deleted
		}
		t := time.NewTimer(scanEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.look:
			_ = Sleep(ctx, lookEvery) // one look for all that is queued meanwhile; ctx is looked at next
		case <-t.C:
		}
		t.Stop()
	}
}

// retryAll lets every key that waits be tried at once.
func (s *Sender) retryAll() {
	s.mu.Lock()
	list := make([]*dest, 0, len(s.dests))
	for _, d := range s.dests {
		list = append(list, d)
	}
	s.mu.Unlock()
	for _, d := range list {
		d.mu.Lock()
		d.retryAll()
		d.mu.Unlock()
	}
}

// deliver asks the channel. Whatever goes wrong in it concerns one row.
func (s *Sender) deliver(ctx context.Context, d Delivery) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("outbox: the channel panicked", slog.String("channel", s.Channel), slog.String("stack", string(debug.Stack())))
			out = Outcome{Err: errors.New("outbox: the channel panicked"), Reason: "internal error"}
		}
	}()
	return s.Deliver.Send(ctx, d)
}

// record stores that rows are done. It goes on trying: what is not recorded would be sent again.
func (s *Sender) record(ctx context.Context, out Outcome) error {
	ctx, cancel := Outlast(ctx, lastCall)
	defer cancel()
	do := out.Record
	if do == nil {
		ids := make([]int64, len(out.Done))
		for i, row := range out.Done {
			ids[i] = row.ID
		}
		do = func(ctx context.Context) error { return s.Store.OutboxDone(ctx, ids...) }
	}
	for try := 0; ; try++ {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, models.ErrClosed) || errors.Is(err, models.ErrLeaseLost) {
			return fmt.Errorf("outbox: what was sent is not recorded: %w", err)
		}
		s.Log.Warn("outbox: what was sent is not recorded yet", slog.String("channel", s.Channel), slog.Any("error", err))
		if err := Sleep(ctx, Backoff(try, backoffDest)); err != nil {
			return err
		}
	}
}

// Outlast gives a context that goes on for a time after ctx.
func Outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		_ = Sleep(longer, d) // what ends it ends this
		cancel()
	})
	return longer, func() { unhook(); cancel() }
}

// Backoff doubles from try to try up to a bound, and is off by up to a quarter, so that nothing comes in step.
func Backoff(tries int, most time.Duration) time.Duration {
	d := min(backoffLow<<min(tries, 20), most)
	return d - d/4 + time.Duration(rand.Int64N(int64(d)/2+1))
}

// Sleep waits for d, or until ctx ends, whose error it then gives.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
