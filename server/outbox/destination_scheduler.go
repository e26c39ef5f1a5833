package outbox

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sohbet/models"
	"sohbet/server/signal"
)

// dest schedules the keys of one destination. Keys that had no pending rows go before those that had, as in fair queueing with a list
// of new flows (RFC 8290, section 4.2): a backlog does not delay the first row of another key by a whole round. Among new keys those
// with the fewest rows go first, so that a single message passes a burst, but the oldest key is passed over only a few times.
type dest struct {
	s       *Sender
	pace    *Pace
	changed signal.Signal // signals run

	mu       sync.Mutex
	keys     map[models.OutboxKey]*key // keys with rows
	fresh    []*key                    // ready, and not served since they became ready
	old      []*key                    // ready
	passed   int                       // how often the oldest of fresh was passed over in succession
	busy     int                       // deliveries in progress
	failures int                       // consecutive failures
	probing  bool                      // a failed key is being retried during an outage
	tried    time.Time                 // start of the last delivery
	newest   *key                      // key of that delivery while it is in progress
	served   time.Time                 // time of the last success
	retryAt  time.Time                 // during an outage: when a failed key may be retried
}

// key is the state of an outbox key with rows.
type key struct {
	id       models.OutboxKey
	state    state
	rows     int       // rows queued while it was fresh
	empty    bool      // has no rows and is ready only to keep its place: see rest
	first    bool      // being served as a fresh key
	probe    bool      // being retried during an outage
	more     bool      // rows were queued while it was being served
	known    bool      // due is current; otherwise the value in the table counts
	due      time.Time // end of the wait
	soft     bool      // waits although nothing failed; a new row ends the wait
	row      int64     // id of the row that failed last
	failures int       // failures of that row
	failed   time.Time // time of its last failure
}

// mostPassed is how often the oldest of the new keys may be passed over.
const mostPassed = 3

type state uint8

const (
	ready state = iota
	serving
	waiting
)

// add records that a key has rows; fresh means that they have just been queued.
func (d *dest) add(id models.OutboxKey, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.keys[id]
	switch {
	case k == nil:
		k = &key{id: id, rows: 1}
		d.keys[id] = k
		if fresh {
			d.fresh = append(d.fresh, k)
		} else {
			d.old = append(d.old, k)
		}
	case k.state == serving:
		k.more = true
		return
	case k.state == ready:
		k.empty = false
		k.rows++
	case k.state == waiting && k.soft && fresh:
		d.ready(k)
	default:
		return
	}
	d.changed.Set()
}

// ready appends a key to the round-robin list. The caller holds the lock.
func (d *dest) ready(k *key) {
	k.state, k.soft = ready, false
	d.old = append(d.old, k)
}

// run serves keys until ctx ends.
func (d *dest) run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for ctx.Err() == nil {
		d.mu.Lock()
		can, wait := d.next(d.s.Now(), false)
		d.mu.Unlock()
		if can == nil {
			d.idle(ctx, wait)
			continue
		}
		slot, err := d.pace.Take(ctx, Next)
		if err != nil {
			return
		}
		d.mu.Lock()
		k, _ := d.next(d.s.Now(), true) // the next key may have changed while waiting for the slot
		d.mu.Unlock()
		if k == nil {
			slot.Cancel()
			continue
		}
		workers.Go(func() { d.serve(ctx, k, slot) })
	}
}

// idle waits for a change or, if wait is above 0, for that time.
func (d *dest) idle(ctx context.Context, wait time.Duration) {
	var expired <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-ctx.Done():
	case <-d.changed:
	case <-expired:
	}
}

func (d *dest) inTrouble() bool { return d.failures >= troubleAfter }

// next returns the next key to serve, or nil and the time after which there may be one, 0 if that depends on a change. With take the
// key is marked as being served. The caller holds the lock.
func (d *dest) next(now time.Time, take bool) (*key, time.Duration) {
	if d.busy >= d.s.Workers {
		return nil, 0
	}
	var wait time.Duration
	sooner := func(at time.Time) bool {
		if left := at.Sub(now); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			return false
		}
		return true
	}
	var first *key // the failed key that is due first
	for _, k := range d.keys {
		if k.state != waiting {
			continue
		}
		switch {
		case d.inTrouble() && k.failures > 0:
			if first == nil || k.due.Before(first.due) {
				first = k
			}
		case sooner(k.due):
			d.ready(k)
		}
	}
	if d.newest != nil && !sooner(d.tried.Add(d.s.Alone)) {
		return nil, wait
	}
	for len(d.old) > 0 && d.old[0].empty {
		delete(d.keys, d.old[0].id)
		d.old = d.old[1:]
	}
	list := &d.fresh
	if len(*list) == 0 {
		list = &d.old
	}
	var k *key
	switch {
	case len(*list) > 0 && (!d.inTrouble() || sooner(d.tried.Add(freshEvery))):
		i := 0
		if list == &d.fresh && d.passed < mostPassed {
			for j, other := range *list {
				if other.rows < (*list)[i].rows {
					i = j
				}
			}
		}
		k = (*list)[i]
		if take {
			*list = slices.Delete(*list, i, i+1)
			k.first = list == &d.fresh
			if d.passed++; i == 0 {
				d.passed = 0
			}
		}
	case first != nil && !d.probing && sooner(d.retryAt):
		k = first
		if take {
			d.probing, k.probe = true, true
		}
	default:
		return nil, wait
	}
	if take {
		k.state, k.more = serving, false
		d.busy++
		d.tried, d.newest = now, k
	}
	return k, 0
}

// serve delivers the first rows of a key.
func (d *dest) serve(ctx context.Context, k *key, slot *Slot) {
	defer slot.Cancel()
	rows, err := d.s.Store.OutboxRows(ctx, d.s.Channel, k.id, batch)
	now := d.s.Now()
	switch {
	case err != nil:
		if ctx.Err() == nil {
			d.s.Log.Debug("outbox: failed to read rows", slog.String("channel", d.s.Channel), slog.Any("error", err))
		}
		d.settle(k, func() { d.wait(k, now.Add(scanEvery), false) })
		return
	case len(rows) == 0:
		d.settle(k, func() { d.rest(k, false) })
		return
	case !k.known && rows[0].DueAt != nil && rows[0].DueAt.After(now): // postponed by another process, or its delivery may be in progress
		due := *rows[0].DueAt
		soon := now.Add(markEvery)
		switch {
		case due.After(now.Add(2 * backoffRow)): // no process waits that long: the clock was set back
			due, k.known = now.Add(backoffRow), true
		case due.After(soon):
			due = soon
		default:
			k.known = true
		}
		d.settle(k, func() { d.wait(k, due, false) })
		return
	case !d.s.journal.clear(rows): // sent, but that is not stored yet
		d.settle(k, func() { d.wait(k, now.Add(scanEvery), false) })
		return
	}
	k.known = true
	if k.row != rows[0].ID {
		k.row, k.failures = rows[0].ID, 0
	}
	if err := d.s.Store.OutboxBegin(ctx, rows[0].ID, now.Add(inFlight)); err != nil {
		d.settle(k, func() { d.wait(k, now.Add(scanEvery), false) })
		return
	}
	out := d.s.deliver(ctx, Delivery{Rows: rows, Failures: k.failures, Slot: slot})
	slot.Cancel()
	left := len(rows) == batch
	if len(out.Done) > 0 || out.Record != nil {
		left = left || len(out.Done) < len(rows)
		if err := d.s.record(ctx, rows[0], out); err != nil {
			d.s.Log.Warn(err.Error(), slog.String("channel", d.s.Channel))
		}
	}
	lost := errors.Is(out.Err, models.ErrLeaseLost) // the call was not made
	if (ctx.Err() == nil || lost) && out.Record == nil && !slices.ContainsFunc(out.Done, func(r models.OutboxRow) bool { return r.ID == rows[0].ID }) {
		d.s.notSent(ctx, rows[0])
	}
	if ctx.Err() != nil || lost {
		return
	}
	switch {
	case out.Err != nil && out.Scope != Pause:
		d.failed(ctx, k, rows[0], out)
	case out.Err != nil:
		d.settle(k, func() {
			k.state = ready
			d.old = append([]*key{k}, d.old...) // it goes first again
		})
	case out.Wait > 0:
		d.settle(k, func() { d.wait(k, now.Add(out.Wait), true) })
	default:
		d.succeeded(k, left)
	}
}

// settle ends the serving of a key.
func (d *dest) settle(k *key, how func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy--
	d.end(k)
	how()
	d.changed.Set()
}

func (d *dest) end(k *key) {
	if d.newest == k {
		d.newest = nil
	}
	if k.probe {
		d.probing, k.probe = false, false
	}
}

// rest ends the turn of a key. A fresh key without rows left keeps a place in the round robin, so that many keys with occasional rows
// do not starve those with a backlog. The caller holds the lock.
func (d *dest) rest(k *key, left bool) {
	left = left || k.more
	if !left && !k.first {
		delete(d.keys, k.id)
		return
	}
	d.ready(k)
	k.empty, k.first = !left, false
}

// wait postpones a key. The caller holds the lock.
func (d *dest) wait(k *key, until time.Time, soft bool) {
	if soft && k.more {
		d.ready(k)
		return
	}
	k.state, k.due, k.soft = waiting, until, soft
}

func (d *dest) succeeded(k *key, left bool) {
	d.s.Trouble(nil)
	d.settle(k, func() {
		k.failures = 0
		d.recovered()
		d.rest(k, left)
	})
}

// recovered records a success. The caller holds the lock.
func (d *dest) recovered() {
	d.served = d.s.Now()
	if d.inTrouble() {
		d.s.Log.Info("outbox: sending has recovered", slog.String("channel", d.s.Channel))
		d.failures = 0
		d.retryAll()
	}
	d.failures = 0
}

// retryAll makes every failed key ready. The caller holds the lock.
func (d *dest) retryAll() {
	for _, k := range d.keys {
		k.known = true
		if k.state == waiting {
			d.ready(k)
		}
	}
	d.retryAt = time.Time{}
	d.changed.Set()
}

// failed records a failed delivery. The row counts as the cause only if others were delivered since its last failure.
func (d *dest) failed(ctx context.Context, k *key, row models.OutboxRow, out Outcome) {
	now := d.s.Now()
	d.mu.Lock()
	own := out.Scope == Unclear && k.failures > 0 && d.served.After(k.failed)
	d.failures++
	if out.Scope == Whole {
		d.failures = max(d.failures, troubleAfter)
	}
	failures := d.failures
	d.mu.Unlock()

	due := now.Add(Backoff(k.failures, backoffRow))
	aside := out.Aside || own && row.Tries+1 >= d.s.MaxTries
	var err error
	switch {
	case aside:
		if err = d.s.Store.OutboxSetAside(ctx, row.ID, out.Reason, now); err == nil {
			d.s.Log.Error("outbox: set aside a row", slog.String("channel", d.s.Channel), slog.Int64("message_id", row.MessageID), slog.Any("error", out.Err))
			d.s.Aside(ctx, row, out.Reason)
		}
	case own:
		err = d.s.Store.OutboxLater(ctx, row.ID, due)
	}
	if err != nil && ctx.Err() == nil {
		d.s.Log.Warn("outbox: failed to record a failed attempt", slog.String("channel", d.s.Channel), slog.Any("error", err))
	}
	if aside && err == nil {
		// The destination works: others were delivered, or the channel knows that the row is the cause.
		d.settle(k, func() {
			k.failures = 0
			if d.failures = 0; out.Aside {
				d.recovered()
			}
			d.rest(k, true)
		})
		d.s.Trouble(nil)
		return
	}
	d.s.Trouble(out.Err)
	level := slog.LevelDebug
	if failures == troubleAfter || failures%100 == 0 {
		level = slog.LevelWarn // an outage is logged once, and every hundredth failure
	}
	d.s.Log.Log(ctx, level, "outbox: delivery failed; retrying", slog.String("channel", d.s.Channel), slog.Int("tries", k.failures+1), slog.Any("error", out.Err))
	d.settle(k, func() {
		k.failures++
		k.failed = d.s.Now()
		most := backoffDest
		if out.Scope == Whole {
			most = backoffWhole
		}
		if d.failures > 0 { // otherwise another delivery succeeded meanwhile
			d.retryAt = d.s.Now().Add(Backoff(d.failures-1, most))
		}
		d.wait(k, due, false)
	})
}
