package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type fanoutResult struct {
	Members int `json:"members"`
	Rate    int `json:"rate"`
	span
	Latency   latency `json:"latency"`
	Sent      int     `json:"sent"`
	Lost      int64   `json:"lost"`
	Misplaced int64   `json:"misplaced"` // duplicate or out of order
	Cut       int64   `json:"cut"`       // members whose connection the server closed
}

const room = "room-1"

// fanout has one sender outside the room and t.conns members. With a rate the sender sends at that rate unconditionally; without one it
// sends the next message once at most t.depth messages are undelivered at any member.
func fanout(ctx context.Context, t *target) (any, error) {
	members, err := t.hold(ctx, t.conns)
	if err != nil {
		return nil, err
	}
	defer closeAll(members)
	if err := t.each(len(members), func(i int) error {
		_, err := members[i].call(`["join-room","` + room + `"]`)
		return err
	}); err != nil {
		return nil, err
	}
	sender, err := t.connect(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer sender.Close()

	f := &fan{sent: make([]time.Time, maxEvents), counts: make([]paddedCount, len(members))}
	times := make([]histogram, len(members))
	var reading sync.WaitGroup
	for i, c := range members {
		reading.Go(func() { f.member(c, &f.counts[i].Int64, &times[i]) })
	}
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	done := make(chan error, 1)
	go func() { done <- f.send(sending, t, sender) }()

	s, err := t.during(ctx, f.delivered)
	stopSending()
	sendErr := <-done
	if err == nil && sendErr != nil {
		err = fmt.Errorf("sender: %w", sendErr)
	}
	if err == nil { // wait for the messages that are on their way
		want := f.number.Load() * int64(len(members))
		for end := time.Now().Add(10 * time.Second); f.delivered() < want && time.Now().Before(end) && f.cut.Load() == 0; {
			time.Sleep(10 * time.Millisecond)
		}
	}
	f.over.Store(true)
	closeAll(members)
	reading.Wait()
	if err != nil {
		return nil, err
	}
	var all histogram
	for i := range times {
		all.merge(&times[i])
	}
	sent := int(f.number.Load())
	return fanoutResult{
		Members: len(members), Rate: t.rate, span: s, Latency: all.report(), Sent: sent,
		Lost: int64(sent*len(members)) - f.delivered(), Misplaced: f.misplaced.Load(), Cut: f.cut.Load(),
	}, nil
}

type fan struct {
	number    atomic.Int64 // messages sent
	sent      []time.Time  // send time by message number; set before the message is sent
	counts    []paddedCount
	misplaced atomic.Int64
	cut       atomic.Int64
	over      atomic.Bool
}

func (f *fan) delivered() (n int64) {
	for i := range f.counts {
		n += f.counts[i].Load()
	}
	return n
}

// message returns an event in the form of a chat message of about size bytes.
func message(number, size int) string {
	const form = `["fan","%s",{"id":%d,"thread_id":"5b0c2f9e-6a3d-4f43-9a55-0c1f6a9b7e10","sender_type":"visitor",` +
		`"content_type":"text","content_text":"%s","created_at":"2026-01-02T03:04:05.000Z"}]`
	return fmt.Sprintf(form, room, number, strings.Repeat("x", max(0, size-180)))
}

// send emits messages until ctx ends, which is not an error.
func (f *fan) send(ctx context.Context, t *target, c *conn) error {
	start := time.Now()
	for n := 0; ; n++ {
		if n == len(f.sent) {
			return fmt.Errorf("more than %d messages", len(f.sent))
		}
		if t.rate > 0 {
			due := start.Add(time.Duration(n) * time.Second / time.Duration(t.rate))
			if sleep(ctx, time.Until(due)) != nil {
				return nil
			}
		} else {
			for f.delivered() < int64(n-t.depth+1)*int64(len(f.counts)) {
				if sleep(ctx, 100*time.Microsecond) != nil {
					return nil
				}
				if f.cut.Load() > 0 {
					return errors.New("the connection of a member was closed")
				}
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		f.sent[n] = time.Now()
		f.number.Store(int64(n) + 1)
		if err := c.emit(message(n, t.size)); err != nil {
			return err
		}
	}
}

// member counts the events that a member receives and checks their order.
func (f *fan) member(c *conn, count *atomic.Int64, h *histogram) {
	for want := 0; ; want++ {
		p, err := c.next()
		if err != nil {
			if !f.over.Load() {
				f.cut.Add(1)
			}
			return
		}
		n, ok := messageNumber(p)
		if !ok || n != want {
			f.misplaced.Add(1)
			want = n
		}
		if n < len(f.sent) {
			h.add(time.Since(f.sent[n]))
		}
		count.Add(1)
	}
}

// messageNumber extracts the number from a delivered event, wherever the server put the field.
func messageNumber(p []byte) (n int, ok bool) {
	i := bytes.Index(p, []byte(`"id":`))
	if i < 0 {
		return 0, false
	}
	for _, b := range p[i+5:] {
		if b < '0' || b > '9' {
			break
		}
		n, ok = min(10*n+int(b-'0'), maxEvents), true
	}
	return n, ok
}
