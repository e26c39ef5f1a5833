package broker

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/server/realtime"
)

// database holds the stored messages of one thread, and records how it is queried.
type database struct {
	Store
	mu      sync.Mutex
	stored  []int64
	queries int
	failing int
	settled func()
}

const thread = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

func (db *database) backfill(_ context.Context, _ string, after, upTo int64, limit int) ([]Delivery, bool, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.queries++
	if db.failing > 0 {
		db.failing--
		return nil, false, errors.New("away")
	}
	var found []Delivery
	for i, id := range db.stored {
		if id <= after || id > upTo {
			continue
		}
		if len(found) == limit {
			return found, true, nil
		}
		d := message(id, 0)
		if i > 0 {
			d.Follows = db.stored[i-1]
		}
		found = append(found, *d)
	}
	return found, false, nil
}

func (db *database) Flush(context.Context) error {
	call(db.settled)
	return nil
}

func message(id, follows int64) *Delivery { return &Delivery{Thread: thread, ID: id, Follows: follows} }

// recorder is a sequencer that records what it delivers: ids of messages, and 0 for other events.
type recorder struct {
	*sequencer
	mu        sync.Mutex
	delivered []int64
	except    []string // the excluded socket of each
	up        atomic.Bool
}

func newRecorder(t *testing.T, floor int64, db *database) *recorder {
	r := &recorder{}
	r.up.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	r.sequencer = newSequencer(ctx, floor, Local{Store: db, Backfill: db.backfill}, r.up.Load, func(d *Delivery) {
		r.mu.Lock()
		r.delivered, r.except = append(r.delivered, d.ID), append(r.except, d.Except)
		r.mu.Unlock()
		d.done()
	}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		r.stop()
		cancel()
		r.working.Wait()
	})
	return r
}

func (r *recorder) got() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.delivered)
}

// await waits until as many items were delivered, and compares them.
func (r *recorder) await(t *testing.T, want ...int64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); len(r.got()) < len(want) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := r.got(); !slices.Equal(got, want) {
		t.Fatalf("delivered %v, want %v", got, want)
	}
}

// Messages that arrive in any order, repeatedly or never are delivered once each and in order, and all are acknowledged.
func TestSequencer(t *testing.T) {
	const n = 2000
	stored := &database{}
	for id := int64(10); id < 10+n; id++ {
		stored.stored = append(stored.stored, 3*id)
	}
	for seed := range uint64(4) {
		dice := rand.New(rand.NewPCG(seed, 1))
		a := newRecorder(t, 0, stored)
		var answered atomic.Int64
		want := int64(0)
		// Every message comes from one of three processes. Each process's messages arrive in order, but processes lag; some messages
		// are lost and some repeated. Messages stored by this process are never lost.
		queues := make([][]*Delivery, 3)
		follows := int64(0)
		for _, id := range stored.stored {
			p, from := message(id, follows), dice.IntN(3)
			follows = id
			if from == 0 {
				p.Done = func() { answered.Add(1) }
				want++
			} else if dice.IntN(10) == 0 && id != stored.stored[n-1] {
				continue
			}
			queues[from] = append(queues[from], p)
			if from > 0 && dice.IntN(10) == 0 {
				queues[from] = append(queues[from], p)
			}
		}
		for len(queues[0])+len(queues[1])+len(queues[2]) > 0 {
			if q := dice.IntN(3); len(queues[q]) > 0 {
				a.take(queues[q][0])
				queues[q] = queues[q][1:]
			}
		}
		a.await(t, stored.stored...)
		if answered.Load() != want {
			t.Errorf("%d of %d were answered", answered.Load(), want)
		}
	}
}

// A message waits for its predecessor, and events that arrived after it wait too; volatile events do not.
func TestSequencerHolds(t *testing.T) {
	a := newRecorder(t, 1, &database{stored: []int64{1, 2, 3}})
	var answered atomic.Bool
	second := message(3, 2)
	second.Done = func() { answered.Store(true) }
	a.take(second)
	a.take(&Delivery{Thread: thread})
	if answered.Load() || len(a.got()) != 0 {
		t.Fatal("a message overtook the one before it")
	}
	a.take(&Delivery{Thread: thread, Publication: realtime.Publication{Volatile: true}})
	a.await(t, 0)
	a.take(message(2, 1))
	a.await(t, 0, 2, 3, 0)
	if !answered.Load() {
		t.Error("it was not answered")
	}
	a.take(message(2, 1)) // a repeat
	a.take(message(4, 3))
	a.await(t, 0, 2, 3, 0, 4)
}

// Messages that this process stored and is about to publish are not delivered from the database, or their sender would receive them
// too.
func TestSequencerLeavesItsOwn(t *testing.T) {
	source := &database{stored: []int64{1, 2, 3, 4}}
	a := newRecorder(t, 1, source)
	var own atomic.Int64
	source.settled = func() {
		p := message(3, 2)
		p.Except = "its sender"
		p.Done = func() { own.Add(1) }
		a.take(p)
	}
	a.take(message(4, 3))
	a.await(t, 2, 3, 4)
	if own.Load() != 1 || !slices.Equal(a.except, []string{"", "its sender", ""}) {
		t.Errorf("its own was answered %d times, and delivered to all but %q", own.Load(), a.except)
	}
}

// A failed database read is retried, and meanwhile nothing is delivered out of order.
func TestSequencerOutlivesTheDatabase(t *testing.T) {
	source := &database{stored: []int64{1, 2, 3}, failing: 1}
	a := newRecorder(t, 0, source)
	a.up.Store(false) // without Redis no message arrives by itself, so none is waited for
	a.take(message(3, 2))
	a.await(t, 1, 2, 3)
	if source.queries != 2 {
		t.Errorf("the database was asked %d times", source.queries)
	}
}

// Deleted messages in a gap are skipped.
func TestSequencerSkipsTheDeleted(t *testing.T) {
	a := newRecorder(t, 1, &database{stored: []int64{1, 5}})
	a.take(message(5, 4))
	a.await(t, 5)
	a.take(message(6, 5))
	a.await(t, 5, 6)
}

// A repeated announcement of a delivered message is dropped; one of an undelivered message is delivered, after its predecessors.
func TestSequencerRepeats(t *testing.T) {
	a := newRecorder(t, 2, &database{stored: []int64{1, 2, 3, 4}})
	a.take(message(1, -1))
	a.take(message(2, -1))
	a.take(message(4, -1))
	a.await(t, 3, 4)
	a.take(message(4, -1))
	a.take(message(5, 4))
	a.await(t, 3, 4, 5)
}

// The predecessor of the first message of a thread may have been stored before the process started.
func TestSequencerStarts(t *testing.T) {
	a := newRecorder(t, 5, &database{stored: []int64{1, 2, 7, 8, 9}})
	a.take(message(7, 2))
	a.await(t, 7)
	a.take(message(9, 8)) // 8 is missing
	a.await(t, 7, 8, 9)
}

// A message that is known to be stored but was never announced, because its process crashed, is delivered from the database.
func TestSequencerCatchesUp(t *testing.T) {
	a := newRecorder(t, 2, &database{stored: []int64{1, 2, 3, 4}})
	a.known(thread, 2, 0) // stored before the process started
	a.known(thread, 3, 0)
	a.await(t, 3)
	a.known(thread, 3, 0)
	a.take(message(3, 2)) // announced late
	a.take(message(4, 3))
	a.await(t, 3, 4)
	a.stop()
	a.take(message(11, 10)) // nothing is pending any more
	a.await(t, 3, 4, 11)
}

// Lines of threads without recent messages are deleted, and delivered messages are not delivered again.
func TestSequencerForgets(t *testing.T) {
	a := newRecorder(t, 0, &database{})
	const threads = 3 * maxLines * shardCount
	for i := range int64(threads) {
		p := message(i+1, 0)
		p.Thread = string(rune(i)) + "x"
		a.take(p)
	}
	lines := 0
	for i := range a.shards {
		lines += len(a.shards[i].lines)
	}
	if lines > 2*maxLines*shardCount {
		t.Errorf("%d lines are kept", lines)
	}
	if n := len(a.got()); n != threads {
		t.Errorf("%d of %d were delivered", n, threads)
	}
	first := message(threads+1, 1) // its thread's line was deleted
	first.Thread = string(rune(0)) + "x"
	a.take(first)
	if got := a.got(); got[len(got)-1] != threads+1 {
		t.Error("a message waits for one that was delivered")
	}
}
