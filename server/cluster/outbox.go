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
	sendMost        = 256 // packets in one round trip
)

// outgoing is a packet on its way to the subscribers of one channel or two.
type outgoing struct {
	data     []byte
	channels []string
}

// outbox is what waits to be sent to the other processes, in its order. It is bounded: while Redis is away for long the oldest
// are dropped, and the others told to look into the database instead.
type outbox struct {
	mu      sync.Mutex
	queue   []outgoing
	bytes   int
	sent    uint64
	sending int
	dropped bool
	turned  map[string]bool // what is told in the queue
	wake    chan struct{}
}

func (b *outbox) init() {
	b.wake, b.turned = make(chan struct{}, 1), make(map[string]bool)
}

// number encodes a packet under the next number and queues it. It reports false when an older one was dropped for it.
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

// turn reports whether a packet that says the same is not waiting yet.
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

// take removes what is sent next. dropped reports that something before it is missing.
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

// back ends a take; what could not be sent waits again, before the rest.
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

// drain waits until nothing waits, as long as there is hope.
func (b *outbox) drain(ctx context.Context, hope func() bool) {
	for b.waiting() > 0 && hope() && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
	}
}

// send sends what waits as long as Redis answers. One round trip at a time keeps the order.
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

// fail ends the connection on which other processes' publications come, because sending failed: the two come back together.
func (c *Cluster) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	c.noteError(err)
	if ps := c.session.Load(); ps != nil {
		_ = ps.Close() // its receiver hears of it
	}
}
