package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	maxWaiting      = 20_000
	maxWaitingBytes = 16 << 20
	sendMost        = 256 // packets per round trip
)

// outgoing is an encoded packet and its one or two channels.
type outgoing struct {
	data     []byte
	channels []string
}

// outbox is the bounded queue of packets for the other processes. During a long outage the oldest packets are dropped, and the others
// are notified so that they read the database instead.
type outbox struct {
	mu      sync.Mutex
	queue   []outgoing
	bytes   int
	sent    uint64
	sending int
	dropped bool
	turned  map[string]bool // changes that are announced by a queued packet
	wake    chan struct{}
}

func (b *outbox) init() {
	b.wake, b.turned = make(chan struct{}, 1), make(map[string]bool)
}

// number assigns the next sequence number to a packet, encodes it and queues it. It reports false if older packets were dropped.
func (b *outbox) number(p *packet, channels []string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
	p.sent = b.sent
	one := outgoing{data: p.encode(make([]byte, 0, 512)), channels: channels}
	b.queue, b.bytes = append(b.queue, one), b.bytes+len(one.data)
	fits := true
	for len(b.queue) > maxWaiting || b.bytes > maxWaitingBytes {
		b.bytes -= len(b.queue[0].data)
		b.queue = b.queue[1:]
		b.dropped, fits = true, false
	}
	b.rouse()
	return fits
}

// turn reports whether no packet about the same change is queued yet.
func (b *outbox) turn(what string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.turned[what]
	b.turned[what] = true
	return !was
}

func (b *outbox) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take removes the next batch from the queue. dropped reports that packets before it were dropped.
func (b *outbox) take() (batch []outgoing, dropped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.queue), sendMost)
	batch = append([]outgoing(nil), b.queue[:n]...)
	if b.queue = b.queue[n:]; len(b.queue) == 0 {
		b.queue = nil
	}
	for _, one := range batch {
		b.bytes -= len(one.data)
	}
	clear(b.turned)
	b.sending = n
	dropped, b.dropped = b.dropped, false
	return batch, dropped
}

// back ends a take; packets that could not be sent return to the front of the queue.
func (b *outbox) back(batch []outgoing, dropped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sending = 0
	b.dropped = b.dropped || dropped
	for _, one := range batch {
		b.bytes += len(one.data)
	}
	b.queue = append(batch, b.queue...)
}

func (b *outbox) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) + b.sending
}

// drain waits until the queue is empty, as long as hope returns true.
func (b *outbox) drain(ctx context.Context, hope func() bool) {
	for b.waiting() > 0 && hope() && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
	}
}

// send sends queued packets while Redis is available. Order is kept by sending one batch at a time.
func (c *Cluster) send() {
	for {
		select {
		case <-c.out.wake:
		case <-c.ctx.Done():
			return
		}
		for c.up.Load() && c.ctx.Err() == nil {
			batch, dropped := c.out.take()
			if len(batch) == 0 {
				c.out.back(nil, dropped)
				break
			}
			if err := c.sendBatch(batch, dropped); err != nil {
				c.out.back(batch, dropped)
				c.fail(err)
				break
			}
			c.out.back(nil, false)
			c.counters.published.Add(int64(len(batch)))
		}
	}
}

func (c *Cluster) sendBatch(batch []outgoing, dropped bool) error {
	ctx, cancel := context.WithTimeout(c.ctx, answerTimeout)
	defer cancel()
	_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, one := range batch {
			for _, channel := range one.channels {
				p.Publish(ctx, channel, one.data)
			}
		}
		if dropped {
			p.Publish(ctx, c.names.all(), (&packet{kind: kindResync, from: c.self}).encode(nil))
		}
		return nil
	})
	return err
}

// fail closes the receiving connection after an error on the sending side, so that both reconnect together.
func (c *Cluster) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	c.noteError(err)
	if ps := c.session.Load(); ps != nil {
		_ = ps.Close() // ends listen with an error
	}
}
