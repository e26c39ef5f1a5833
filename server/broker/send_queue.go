package broker

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sohbet/server/signal"
)

const (
	maxWaiting      = 20_000
	maxWaitingBytes = 16 << 20
	sendMost        = 256 // packets per round trip
)

// outgoing is an encoded packet.
type outgoing struct {
	data   []byte // nil if a later notification of the same topic replaces it
	thread string // that changed, with its revision; otherwise ""
	rev    int64
}

// sendQueue is the bounded queue of packets for the other processes. During a long outage the oldest packets are dropped, and the others
// are notified so that they read the database instead.
type sendQueue struct {
	mu       sync.Mutex
	queue    []*outgoing
	bytes    int
	sequence uint64
	sending  int
	dropped  bool
	topics   map[string]*outgoing // queued notifications
	wake     signal.Signal
}

// add numbers, encodes and queues a packet. It reports false if older packets were dropped.
func (q *sendQueue) add(p *packet) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sequence++
	p.sequence = q.sequence
	one := &outgoing{data: p.encode(make([]byte, 0, 512))}
	if p.delivery.Rev > 0 {
		one.thread, one.rev = p.delivery.Thread, p.delivery.Rev
	}
	q.queue, q.bytes = append(q.queue, one), q.bytes+len(one.data)
	if p.kind == kindTopic {
		if before := q.topics[p.topic]; before != nil {
			q.bytes -= len(before.data)
			before.data = nil
		}
		q.topics[p.topic] = one
	}
	fits := true
	for len(q.queue) > maxWaiting || q.bytes > maxWaitingBytes {
		q.bytes -= len(q.queue[0].data)
		q.queue = q.queue[1:]
		q.dropped, fits = true, false
		clear(q.topics)
	}
	q.wake.Set()
	return fits
}

// take removes the next packets from the queue.
func (q *sendQueue) take() (batch []*outgoing, dropped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.queue), sendMost)
	batch = append(batch, q.queue[:n]...)
	if q.queue = q.queue[n:]; len(q.queue) == 0 {
		q.queue = nil
	}
	for _, one := range batch {
		q.bytes -= len(one.data)
	}
	clear(q.topics)
	q.sending = n
	dropped, q.dropped = q.dropped, false
	return batch, dropped
}

// changed returns the threads of which changes are queued.
func (q *sendQueue) changed() (threads []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	known := make(map[string]bool)
	for _, one := range q.queue {
		if one.rev > 0 && one.data != nil && !known[one.thread] {
			known[one.thread] = true
			threads = append(threads, one.thread)
		}
	}
	return threads
}

// dropStale drops the queued changes that are older than the current revisions of their threads, and returns their number.
func (q *sendQueue) dropStale(current map[string]int64) (dropped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, one := range q.queue {
		if one.data != nil && one.rev > 0 && one.rev < current[one.thread] {
			q.bytes -= len(one.data)
			one.data = nil
			dropped++
		}
	}
	q.dropped = q.dropped || dropped > 0
	return dropped
}

// putBack ends a take; packets that could not be sent return to the front of the queue.
func (q *sendQueue) putBack(batch []*outgoing, dropped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending = 0
	q.dropped = q.dropped || dropped
	for _, one := range batch {
		q.bytes += len(one.data)
	}
	q.queue = append(batch, q.queue...)
}

func (q *sendQueue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue) + q.sending
}

// drain waits until the queue is empty, while connected returns true.
func (q *sendQueue) drain(ctx context.Context, connected func() bool) {
	for q.waiting() > 0 && connected() && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
	}
}

// runSender sends queued packets while Redis is available. Order is kept by sending one batch at a time.
func (r *Redis) runSender() {
	for {
		select {
		case <-r.queue.wake:
		case <-r.ctx.Done():
			return
		}
		for r.up.Load() && r.ctx.Err() == nil {
			batch, dropped := r.queue.take()
			if len(batch) == 0 {
				r.queue.putBack(nil, dropped)
				break
			}
			if err := r.sendBatch(batch, dropped); err != nil {
				r.queue.putBack(batch, dropped)
				r.fail(err)
				break
			}
			r.queue.putBack(nil, false)
			r.published.Add(int64(len(batch)))
		}
	}
}

func (r *Redis) sendBatch(batch []*outgoing, dropped bool) error {
	ctx, cancel := context.WithTimeout(r.ctx, answerTimeout)
	defer cancel()
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, one := range batch {
			if one.data != nil {
				p.Publish(ctx, r.names.all(), one.data)
			}
		}
		if dropped {
			p.Publish(ctx, r.names.all(), (&packet{kind: kindResync, from: r.self}).encode(nil))
		}
		return nil
	})
	return err
}
