package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

type echoResult struct {
	Conns int `json:"conns"`
	Depth int `json:"depth"`
	span
	Latency latency `json:"latency"`
	Wrong   int64   `json:"wrong"` // answers that differ from what was sent
}

const echoArgs = `"hello from a visitor",42,{"thread_id":"5b0c2f9e-6a3d-4f43-9a55-0c1f6a9b7e10","typing":true}`

// echo makes every connection repeatedly send an event and wait for its ack, which must return the arguments unchanged.
func echo(ctx context.Context, t *target) (any, error) {
	conns, err := t.hold(ctx, t.conns)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	// One frame per outstanding event of a connection, encoded once; its index is the ack id.
	frames := make([][]byte, t.depth)
	for id := range frames {
		frames[id] = textFrame(fmt.Sprintf(`42%d["echo",%s]`, id, echoArgs))
	}
	var (
		over   atomic.Bool
		wrong  atomic.Int64
		counts = make([]paddedCount, len(conns))
		times  = make([]histogram, len(conns))
		failed = make(chan error, len(conns))
		wg     sync.WaitGroup
	)
	for i, c := range conns {
		wg.Go(func() {
			// echoOn always returns an error; it is a failure if it occurs before the end of the run.
			if err := echoOn(c, frames, &counts[i].Int64, &times[i], &wrong); !over.Load() {
				failed <- fmt.Errorf("connection %d: %w", i, err)
			}
		})
	}
	s, err := t.during(ctx, func() (n int64) {
		for i := range counts {
			n += counts[i].Load()
		}
		return n
	})
	over.Store(true)
	closeAll(conns)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	select {
	case err := <-failed:
		return nil, err
	default:
	}
	var all histogram
	for i := range times {
		all.merge(&times[i])
	}
	return echoResult{t.conns, t.depth, s, all.report(), wrong.Load()}, nil
}

func echoOn(c *conn, frames [][]byte, count *atomic.Int64, h *histogram, wrong *atomic.Int64) error {
	sent := make([]time.Time, len(frames))
	for id, f := range frames {
		sent[id] = time.Now()
		if _, err := c.Write(f); err != nil {
			return err
		}
	}
	want := []byte("[" + echoArgs + "]")
	for {
		p, err := c.next()
		if err != nil {
			return err
		}
		id, rest, ok := ackID(p)
		if !ok || id >= len(frames) {
			return fmt.Errorf("unexpected packet %.60q", p)
		}
		if !bytes.Equal(rest, want) {
			wrong.Add(1)
		}
		now := time.Now()
		h.add(now.Sub(sent[id]))
		count.Add(1)
		sent[id] = now
		if _, err := c.Write(frames[id]); err != nil {
			return err
		}
	}
}
