// Package outbox delivers the rows of the outbox table to external services: a chat, a mail server, a webhook. It handles ordering,
// rate limits and retries; a [Channel] interprets the rows.
//
// Rows of one key are delivered in order; keys share a destination's rate limit in turn, and a failing row blocks only its own key.
// Rows are written in the transaction that caused them, so each is delivered at least once. What was delivered is recorded even after the
// lease was lost, and kept and retried while the process lives (journal). Before a call its first row is marked, so that the next process
// waits for that record: a row is delivered twice only if the process ends, or cannot reach the database for longer than inFlight, between
// the destination's response and the record of it.
//
// The sender of a channel may run in one process at a time: the holder of its lease, see [models.Store.Lease], in whose context Run is
// called. After losing the lease it sends nothing.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"sohbet/models"
	"sohbet/server/signal"
)

// Store is the part of models.Store that the sender uses.
type Store interface {
	OutboxListen(channel string, f func(keys []models.OutboxKey, retry bool))
	OutboxKeys(ctx context.Context, channel string, after int64) ([]models.OutboxKey, int64, error)
	OutboxRows(ctx context.Context, channel string, k models.OutboxKey, limit int) ([]models.OutboxRow, error)
	OutboxBegin(ctx context.Context, id int64, due time.Time) error
	OutboxDone(ctx context.Context, ids ...int64) error
	OutboxLater(ctx context.Context, id int64, due time.Time) error
	OutboxSetAside(ctx context.Context, id int64, reason string, at time.Time) error
}

// Channel delivers rows.
type Channel interface {
	// Send delivers the first of d.Rows, and as many of the following rows as fit into the same call. Its calls have timeouts. It is
	// called concurrently, but never for the same key.
	Send(ctx context.Context, d Delivery) Outcome
}

// Delivery is one call for a key.
type Delivery struct {
	Rows     []models.OutboxRow // the first pending rows, in order; at least one
	Failures int                // number of failures of the first row in this process
	Slot     *Slot              // rate limit slot for the first call; the sender ends it if the channel does not
}

// Scope is what an error is about.
type Scope uint8

// The scopes.
const (
	Unclear Scope = iota // the row, its key or the destination: the results of other rows decide
	Whole                // the destination; not caused by a row
	Pause                // the destination asked for a pause, of which the channel has informed its Pace; not a failure
)

// Outcome is the result of a delivery.
type Outcome struct {
	// Done are the completed rows. Record stores that, and is retried until it succeeds; nil means that the rows are only deleted. If a
	// part of a row was sent, Record is set and the row is not in Done.
	Done   []models.OutboxRow
	Record func(context.Context) error

	// Wait requests to be called again with the same rows after this time, or as soon as another row of their key is queued.
	Wait time.Duration

	Err    error // why the first row was not delivered
	Scope  Scope // of Err
	Reason string
	// Aside sets the first row aside immediately, because it is known to be the cause.
	Aside bool
}

// Options configure a [Sender].
type Options struct {
	Channel string
	Store   Store
	Deliver Channel
	Pace    func(destination string) *Pace
	Workers int // concurrent deliveries per destination
	// Alone is how long a delivery must have been in progress before the next one to the destination may start; 0 = no delay.
	// Deliveries that a crashed process had sent and not recorded are repeated: with Alone that is at most one, unless calls take
	// longer.
	Alone time.Duration

	// MaxTries is how often a row may fail, while others of its destination are delivered, before it is set aside.
	MaxTries int
	// Trouble is called with the error of the last attempt, or with nil when deliveries succeed or nothing is pending.
	Trouble func(error)
	// Aside is called with rows that were set aside. It must not block for long.
	Aside func(ctx context.Context, row models.OutboxRow, reason string)
	Log   *slog.Logger
	Now   func() time.Time
}

const (
	batch        = 50 // maximum number of rows per Delivery
	backoffLow   = 500 * time.Millisecond
	backoffRow   = time.Minute      // maximum backoff of a key because of one row
	backoffDest  = 5 * time.Second  // maximum backoff of a destination during an outage
	backoffWhole = 30 * time.Second // the same, if the error is certainly about the destination
	troubleAfter = 3                // consecutive failures that count as an outage
	freshEvery   = time.Second      // interval in which keys that have not failed are tried during an outage
	scanEvery    = time.Second      // interval of checks for rows queued by other processes
	lookEvery    = 50 * time.Millisecond
	scanAllEvery = 15 * time.Second // interval of full checks, which also find rows whose transaction committed after one with a higher id
	lastCall     = 4 * time.Second  // how long recording what was sent may take during shutdown
	inFlight     = 30 * time.Second // how long after the start of a delivery another process waits for its record
	markEvery    = 2 * time.Second  // interval of checks whether it was recorded
)

// Sender delivers the pending rows of one channel.
type Sender struct {
	Options
	look    signal.Signal // requests a check of the table
	journal journal

	mu    sync.Mutex
	dests map[string]*dest
	start func(*dest) // nil while the sender is not running
}

// New returns a sender.
func New(o Options) *Sender {
	return &Sender{Options: o, look: signal.New(), journal: journal{wake: signal.New()}, dests: make(map[string]*dest)}
}

// Run delivers rows until ctx ends. Deliveries in progress are then given time to be recorded. It may be called again after it
// returned.
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

// queued is called with the keys of new rows, or without keys if they are unknown.
func (s *Sender) queued(keys []models.OutboxKey, retry bool) {
	if retry {
		s.retryAll()
	}
	if keys == nil {
		s.look.Set()
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
		d = &dest{s: s, pace: s.Pace(name), keys: make(map[models.OutboxKey]*key), changed: signal.New()}
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
			s.Log.Debug("outbox: failed to read keys", slog.String("channel", s.Channel), slog.Any("error", err))
		}
		newest = max(newest, seen)
		s.add(keys, after > 0)
		if err == nil && full && len(keys) == 0 {
			s.Trouble(nil) // the failing rows were deleted
		}
		t := time.NewTimer(scanEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.look:
			_ = Sleep(ctx, lookEvery) // one check for everything queued meanwhile; ctx is checked next
		case <-t.C:
		}
		t.Stop()
	}
}

// retryAll makes every waiting key ready.
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

// deliver calls the channel and recovers from panics, which count as failures of one row.
func (s *Sender) deliver(ctx context.Context, d Delivery) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("outbox: the channel panicked", slog.String("channel", s.Channel), slog.String("stack", string(debug.Stack())))
			out = Outcome{Err: errors.New("outbox: the channel panicked"), Reason: "internal error"}
		}
	}()
	return s.Deliver.Send(ctx, d)
}

// notSent records that the next process need not wait for the delivery of a row.
func (s *Sender) notSent(ctx context.Context, row models.OutboxRow) {
	ctx, cancel := WithGrace(models.WithoutLease(ctx), time.Second)
	defer cancel()
	if err := s.Store.OutboxBegin(ctx, row.ID, time.Time{}); err != nil {
		s.Log.Debug("outbox: failed to record the end of an attempt", slog.String("channel", s.Channel), slog.Any("error", err))
	}
}

// record stores that rows are done. It retries, because rows that are not recorded would be sent again, and leaves to the journal what
// could not be stored until some time after ctx has ended.
func (s *Sender) record(ctx context.Context, first models.OutboxRow, out Outcome) error {
	ctx, cancel := WithGrace(models.WithoutLease(ctx), lastCall)
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
		if ctx.Err() != nil || errors.Is(err, models.ErrClosed) {
			s.journal.add(first.ID, do)
			return fmt.Errorf("outbox: failed to record sent rows: %w", err)
		}
		s.Log.Warn("outbox: failed to record sent rows; retrying", slog.String("channel", s.Channel), slog.Any("error", err))
		_ = Sleep(ctx, Backoff(try, backoffDest)) // then the last attempt
	}
}
