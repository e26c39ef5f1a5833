package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/server/realtime"
)

// library is a Source with the stored messages of one thread, which records how it is queried.
type library struct {
	mu      sync.Mutex
	stored  []int64
	asked   int
	failing int
	settled func()
}

const thread = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"

func (l *library) Recall(_ context.Context, _ string, after, upTo int64, limit int) ([]Post, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if l.failing > 0 {
		l.failing--
		return nil, false, errors.New("away")
	}
	var posts []Post
	for i, id := range l.stored {
		if id <= after || id > upTo {
			continue
		}
		if len(posts) == limit {
			return posts, true, nil
		}
		p := message(id, 0)
		if i > 0 {
			p.Follows = l.stored[i-1]
		}
		posts = append(posts, *p)
	}
	return posts, false, nil
}

func (l *library) Settle(context.Context) error {
	if l.settled != nil {
		l.settled()
	}
	return nil
}
func (l *library) NewestID(context.Context) (int64, error) { return 0, nil }
func (l *library) NewestIDs(context.Context, []string) (map[string]int64, error) {
	return map[string]int64{}, nil
}
func (l *library) NewestIDsSince(context.Context, time.Time, int) (map[string]int64, error) {
	return map[string]int64{}, nil
}
func (l *library) Forget(string)                {}
func (l *library) ForgetAll()                   {}
func (l *library) Turned(string)                {}
func (l *library) ClearedAll()                  {}
func (l *library) Resync()                      {}
func (l *library) VisitorsHere() []string       { return nil }
func (l *library) Lost(context.Context, string) {}

func message(id, follows int64) *Post { return &Post{Thread: thread, ID: id, Follows: follows} }

// audience is an order that records what it delivers: ids of messages, and 0 for other events.
type audience struct {
	*order
	mu    sync.Mutex
	heard []int64
	not   []string // the excluded socket of each
	up    atomic.Bool
}

func newAudience(t *testing.T, source Source) *audience {
	a := &audience{}
	a.up.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	a.order = newOrder(ctx, source, a.up.Load, func(p *Post) {
		a.mu.Lock()
		a.heard, a.not = append(a.heard, p.ID), append(a.not, p.Except)
		a.mu.Unlock()
		p.then()
	}, func(string, error) {})
	t.Cleanup(func() {
		a.stop()
		cancel()
		a.working.Wait()
	})
	return a
}

func (a *audience) got() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.heard)
}

// await waits until as many items were delivered, and compares them.
func (a *audience) await(t *testing.T, want ...int64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); len(a.got()) < len(want) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := a.got(); !slices.Equal(got, want) {
		t.Fatalf("delivered %v, want %v", got, want)
	}
}

// Messages that arrive in any order, repeatedly or never are delivered once each and in order, and all are acknowledged.
func TestOrder(t *testing.T) {
	const n = 2000
	stored := &library{}
	for id := int64(10); id < 10+n; id++ {
		stored.stored = append(stored.stored, 3*id)
	}
	for seed := range uint64(4) {
		dice := rand.New(rand.NewPCG(seed, 1))
		a := newAudience(t, stored)
		if seed%2 == 0 {
			a.opened(thread, 0)
		} else {
			a.follow(0)
		}
		var answered atomic.Int64
		want := int64(0)
		// Every message comes from one of three processes. Each process's messages arrive in order, but processes lag; some messages
		// are lost and some repeated. Messages stored by this process are never lost.
		queues := make([][]*Post, 3)
		follows := int64(0)
		for _, id := range stored.stored {
			p, from := message(id, follows), dice.IntN(3)
			follows = id
			if from == 0 {
				p.Then = func() { answered.Add(1) }
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
func TestOrderHolds(t *testing.T) {
	a := newAudience(t, &library{stored: []int64{1, 2, 3}})
	a.opened(thread, 1)
	var answered atomic.Bool
	second := message(3, 2)
	second.Then = func() { answered.Store(true) }
	a.take(second)
	a.take(&Post{Thread: thread})
	if answered.Load() || len(a.got()) != 0 {
		t.Fatal("a message overtook the one before it")
	}
	a.take(&Post{Thread: thread, Publication: realtime.Publication{Volatile: true}})
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
func TestOrderLeavesItsOwn(t *testing.T) {
	source := &library{stored: []int64{1, 2, 3, 4}}
	a := newAudience(t, source)
	a.opened(thread, 1)
	var own atomic.Int64
	source.settled = func() {
		p := message(3, 2)
		p.Except = "its sender"
		p.Then = func() { own.Add(1) }
		a.take(p)
	}
	a.take(message(4, 3))
	a.await(t, 2, 3, 4)
	if own.Load() != 1 || !slices.Equal(a.not, []string{"", "its sender", ""}) {
		t.Errorf("its own was answered %d times, and delivered to all but %q", own.Load(), a.not)
	}
}

// A failed database read is retried, and meanwhile nothing is delivered out of order.
func TestOrderOutlivesTheDatabase(t *testing.T) {
	source := &library{stored: []int64{1, 2, 3}, failing: 1}
	a := newAudience(t, source)
	a.up.Store(false) // without Redis no message arrives by itself, so none is waited for
	a.opened(thread, 0)
	a.take(message(3, 2))
	a.await(t, 1, 2, 3)
	if source.asked != 2 {
		t.Errorf("the database was asked %d times", source.asked)
	}
}

// Deleted messages in a gap are skipped.
func TestOrderSkipsTheDeleted(t *testing.T) {
	a := newAudience(t, &library{stored: []int64{1, 5}})
	a.opened(thread, 1)
	a.take(message(5, 4))
	a.await(t, 5)
	a.take(message(6, 5))
	a.await(t, 5, 6)
}

// A repeated announcement of a delivered message is dropped; one of an undelivered message is delivered, after its predecessors.
func TestOrderToldAgain(t *testing.T) {
	for _, agents := range []bool{false, true} {
		a := newAudience(t, &library{stored: []int64{1, 2, 3, 4}})
		if agents {
			a.follow(2)
		} else {
			a.opened(thread, 2)
		}
		a.take(message(1, -1))
		a.take(message(2, -1))
		a.take(message(4, -1))
		a.await(t, 3, 4)
	}
}

// In a thread new to the agents, the predecessor of the first message may have been stored before they connected.
func TestOrderForAgents(t *testing.T) {
	a := newAudience(t, &library{stored: []int64{1, 2, 7, 8, 9}})
	a.follow(5)
	a.take(message(7, 2))
	a.await(t, 7)
	a.take(message(9, 8)) // 8 is missing
	a.await(t, 7, 8, 9)
	a.unfollow()
	a.take(message(12, 11)) // no agents any more: gaps do not matter
	a.await(t, 7, 8, 9, 12)
}

// A member joining while a message is in flight receives it, at the latest from the database.
func TestOrderOnEntering(t *testing.T) {
	a := newAudience(t, &library{stored: []int64{1, 2, 3}})
	a.expect(thread)
	a.take(message(3, 2)) // in flight when the newest id was read
	if len(a.got()) != 0 {
		t.Fatal("delivered before it was known what has been there before")
	}
	a.opened(thread, 2)
	a.await(t, 3)
	a.closed(thread)
	a.follow(3)
	a.opened(thread, 9) // stored by a process that crashed before announcing it
	a.await(t, 3)
	a.stop()
	a.take(message(11, 10)) // nothing is pending any more
	a.await(t, 3, 11)
}

// Lines of threads without recent messages are deleted, and delivered messages are not delivered again.
func TestOrderForgets(t *testing.T) {
	a := newAudience(t, &library{})
	a.follow(0)
	const threads = 3 * maxLoose * shardCount
	for i := range int64(threads) {
		p := message(i+1, 0)
		p.Thread = string(rune(i)) + "x"
		a.take(p)
	}
	lines := 0
	for i := range a.shards {
		if n := a.shards[i].loose; n != len(a.shards[i].lines) {
			t.Fatalf("%d lines are counted as %d", len(a.shards[i].lines), n)
		}
		lines += len(a.shards[i].lines)
	}
	if lines > 2*maxLoose*shardCount {
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
