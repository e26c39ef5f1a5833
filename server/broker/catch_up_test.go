package broker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ids is a store in which each message is in a thread of its own, which records from which ids it was read.
type ids struct {
	Store
	stored map[string]int64
	after  []int64
}

func (s *ids) NewestIDs(_ context.Context, after int64) (map[string]int64, error) {
	s.after = append(s.after, after)
	found := make(map[string]int64)
	for thread, id := range s.stored {
		if id > after {
			found[thread] = id
		}
	}
	return found, nil
}

// Each check begins at an id from at least a minute ago: messages with smaller ids than those found before may be committed later.
func TestCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &ids{stored: map[string]int64{"a": 11, "c": 13}}
		var mu sync.Mutex // messages of different threads are delivered at the same time
		delivered := []int64{}
		local := Local{Store: store, Backfill: func(_ context.Context, thread string, _, _ int64, _ int) ([]Delivery, bool, error) {
			return []Delivery{{Thread: thread, ID: store.stored[thread]}}, false, nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		r := &Redis{local: local}
		settles := &database{}
		r.sequencer = newSequencer(ctx, 10, Local{Store: settles, Backfill: local.Backfill}, func() bool { return false }, func(d *Delivery) {
			mu.Lock()
			defer mu.Unlock()
			delivered = append(delivered, d.ID)
		}, nil)
		r.catchUp.older = mark{10, time.Now()}
		r.catchUp.newer = r.catchUp.older
		check := func() {
			r.catchUp.run(ctx, r, 0)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(delivered)
		}
		check()
		store.stored["b"] = 12 // committed after 13
		check()
		if !slices.Equal(delivered, []int64{11, 12, 13}) {
			t.Errorf("delivered %v", delivered)
		}
		if r.catchUp.due() {
			t.Error("due at once")
		}
		time.Sleep(catchUpUp)
		if !r.catchUp.due() {
			t.Error("never due")
		}
		check() // from now on 13 is the newer mark
		time.Sleep(catchUpUp)
		check() // and now the older one
		check()
		if want := []int64{10, 10, 10, 10, 13}; !slices.Equal(store.after, want) || len(delivered) != 3 {
			t.Errorf("read after %v, want %v; delivered %v", store.after, want, delivered)
		}
		cancel()
		r.sequencer.working.Wait()
	})
}
