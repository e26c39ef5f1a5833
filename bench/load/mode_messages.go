package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

type messagesResult struct {
	Visitors int `json:"visitors"`
	Depth    int `json:"depth"`
	span
	Acked     latency `json:"acked"`     // from sending a message to its ack, which means that it is durable
	Delivered latency `json:"delivered"` // from sending a message to its arrival at the agent
	Lost      int64   `json:"lost"`      // acked messages of which the agent received no copy
	Doubled   int64   `json:"doubled"`
	// With several servers: messages sent to the agent's server, and to the others.
	Within *latency `json:"within,omitempty"`
	Across *latency `json:"across,omitempty"`
}

// messages loads the whole server as in normal use: t.conns visitors keep t.depth unacked messages each, every message is acked once it
// is durable, and a signed-in agent (-cookie) receives a copy of each.
func messages(ctx context.Context, t *target) (any, error) {
	if t.cookie == "" {
		return nil, errors.New("-cookie of an agent is required")
	}
	conns, err := t.hold(ctx, t.conns+1)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	agent, visitors := conns[t.conns], conns[:t.conns]
	answer, err := agent.call(`["admin_join"]`)
	if err != nil || !bytes.Contains(answer, []byte(`"ok":true`)) {
		return nil, fmt.Errorf("admin_join: %s (%w)", answer, errors.Join(err, errors.New("refused")))
	}
	senders := make([]sender, t.conns)
	if err := t.each(t.conns, func(i int) (err error) {
		senders[i] = sender{conn: visitors[i], number: i, sent: make(map[int]time.Time)}
		senders[i].thread, err = visitors[i].join(i)
		return err
	}); err != nil {
		return nil, err
	}

	var (
		over, quiet        atomic.Bool
		wg, listening      sync.WaitGroup
		failed             = make(chan error, len(conns))
		heard              copies
		heardAll, ackedAll int64
	)
	heard.servers, heard.here = len(t.urls), t.conns%len(t.urls)
	listening.Go(func() {
		if err := heard.listen(agent, senders); !quiet.Load() {
			failed <- fmt.Errorf("agent: %w", err)
		}
	})
	for i := range senders {
		wg.Go(func() {
			if err := senders[i].run(t.depth, &over); err != nil {
				failed <- fmt.Errorf("visitor %d: %w", i, err)
			}
		})
	}
	measured, err := t.during(ctx, func() (n int64) {
		for i := range senders {
			n += senders[i].acked.Load()
		}
		return n
	})
	over.Store(true)
	wg.Wait() // wait for the outstanding acks
	for i := range senders {
		ackedAll += senders[i].acked.Load()
	}
	for end := time.Now().Add(5 * time.Second); heard.n.Load() < ackedAll && time.Now().Before(end); {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			break
		}
	}
	quiet.Store(true)
	closeAll(conns)
	listening.Wait()
	heardAll = heard.n.Load()
	select {
	case err2 := <-failed:
		return nil, errors.Join(err, err2)
	default:
	}
	res := messagesResult{Visitors: t.conns, Depth: t.depth, span: measured, Lost: ackedAll - heardAll, Doubled: heard.doubled}
	var acked histogram
	for i := range senders {
		acked.merge(&senders[i].times)
	}
	res.Acked, res.Delivered = acked.report(), heard.times.report()
	if len(t.urls) > 1 {
		within, across := heard.within.report(), heard.across.report()
		res.Within, res.Across = &within, &across
	}
	return res, err
}

// sender is a visitor who writes as fast as acks arrive.
type sender struct {
	conn   *conn
	number int
	thread string
	acked  atomic.Int64
	times  histogram

	mu   sync.Mutex
	sent map[int]time.Time // send time by message number, kept until both the ack and the agent's copy have arrived
}

func (s *sender) run(depth int, over *atomic.Bool) error {
	next, waiting := 0, 0
	send := func() error {
		s.mu.Lock()
		s.sent[next] = time.Now()
		s.mu.Unlock()
		err := s.conn.emitAck(next, fmt.Sprintf(`["message",{"thread_id":%q,"text":"Merhaba, siparişim nerede kaldı? Dün gelecekti.","client_id":"%d-%d"}]`, s.thread, s.number, next))
		next, waiting = next+1, waiting+1
		return err
	}
	for range depth {
		if err := send(); err != nil {
			return err
		}
	}
	for waiting > 0 {
		p, err := s.conn.next()
		if err != nil {
			return err
		}
		id, rest, ok := ackID(p)
		if !ok || !bytes.Contains(rest, []byte(`"ok":true`)) {
			return fmt.Errorf("unexpected packet %.200q", p)
		}
		s.mu.Lock()
		s.times.add(time.Since(s.sent[id]))
		s.mu.Unlock()
		s.acked.Add(1)
		waiting--
		if !over.Load() {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return nil
}

// copies counts the agent's copies, each message once.
type copies struct {
	n       atomic.Int64
	doubled int64
	times   histogram

	servers, here  int // number of servers, and index of the agent's
	within, across histogram
}

func (c *copies) listen(agent *conn, senders []sender) error {
	seen := make([]int, len(senders)) // next message number per sender, whose messages arrive in order
	for {
		p, err := agent.next()
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(p, []byte(`42["message",`)) {
			continue // the legacy events of the same message
		}
		who, number, ok := clientNumber(p)
		if !ok || who >= len(senders) {
			return fmt.Errorf("unexpected packet %.200q", p)
		}
		if number < seen[who] {
			c.doubled++
			continue
		}
		if number > seen[who] {
			return fmt.Errorf("visitor %d: message %d after %d", who, number, seen[who]-1)
		}
		seen[who]++
		s := &senders[who]
		s.mu.Lock()
		took := time.Since(s.sent[number])
		c.times.add(took)
		if who%c.servers == c.here {
			c.within.add(took)
		} else {
			c.across.add(took)
		}
		delete(s.sent, number-1000) // acked long ago
		s.mu.Unlock()
		c.n.Add(1)
	}
}

// clientNumber extracts the sender and the number of a message from its client id.
func clientNumber(p []byte) (who, number int, ok bool) {
	const name = `"client_id":"`
	i := bytes.Index(p, []byte(name))
	if i < 0 {
		return 0, 0, false
	}
	n, err := fmt.Sscanf(string(p[i+len(name):]), "%d-%d", &who, &number)
	return who, number, err == nil && n == 2 && who >= 0
}
