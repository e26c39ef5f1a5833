package broker

import (
	"hash/maphash"
	"sync"

	"sohbet/server/realtime"
)

// maxRevisions is the number of threads of a shard whose revisions are remembered. When it is reached, they are forgotten: a state may
// then be delivered after a newer one, which clients detect by its revision.
const maxRevisions = 20_000 / shardCount

// revisions delivers the states of each thread in the order of their revisions: a state is dropped if a newer one has been delivered.
// Several processes, and several goroutines of one, publish states in an order that may differ from the order of the changes.
type revisions struct{ shards [shardCount]revisionShard }

type revisionShard struct {
	mu     sync.Mutex
	newest map[stateKey]int64
}

// stateKey names a thread and who receives a state: agents receive others than a visitor.
type stateKey struct {
	thread string
	to     realtime.Side // of the thread's room, plus 1; 0 = agents only
}

var revisionSeed = maphash.MakeSeed()

// deliver sends a delivery to the sockets of this process.
func (v *revisions) deliver(d *Delivery, sockets *realtime.Server) {
	if !d.State {
		sockets.Publish(d.Publication)
		return
	}
	s := &v.shards[maphash.String(revisionSeed, d.Thread)%shardCount]
	s.mu.Lock() // during Publish as well, which only queues, so that another state cannot overtake this one
	defer s.mu.Unlock()
	key := stateKey{thread: d.Thread}
	if d.First.Room != "" {
		key.to = d.First.Only + 1
	}
	if d.Rev < s.newest[key] {
		return
	}
	if s.newest == nil || len(s.newest) >= maxRevisions {
		s.newest = make(map[stateKey]int64)
	}
	s.newest[key] = d.Rev
	sockets.Publish(d.Publication)
}
