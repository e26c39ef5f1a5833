package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

type churnResult struct {
	Parallel int `json:"parallel"`
	span
	Handshake   latency `json:"handshake"` // from the first SYN to the server's CONNECT packet
	OverASecond int     `json:"over_1s"`
	Failed      int     `json:"failed"`
	Before      memory  `json:"before"`
	After       memory  `json:"after"`
}

// maxChurn limits the number of connections of one run.
const maxChurn = 200_000

// churn opens, connects and closes t.conns connections, t.parallel at a time, after a warm-up of a tenth of that.
func churn(ctx context.Context, t *target) (any, error) {
	if t.conns > maxChurn {
		return nil, fmt.Errorf("%d connections: at most %d", t.conns, maxChurn)
	}
	res := churnResult{Parallel: t.parallel}
	var mu sync.Mutex
	var times histogram
	var firstErr error
	one := func(i int) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		start := time.Now()
		c, err := t.connect(ctx, i)
		took := time.Since(start)
		if err == nil {
			err = c.leave()
		}
		mu.Lock()
		defer mu.Unlock()
		times.add(took)
		if took > time.Second {
			res.OverASecond++
		}
		if err != nil {
			res.Failed++
			if firstErr == nil {
				firstErr = err
			}
		}
		return nil
	}
	if err := t.each(max(1, t.conns/10), one); err != nil {
		return nil, err
	}
	if res.Failed > 0 {
		return nil, fmt.Errorf("%d of %d connections failed in the warm-up: %w", res.Failed, t.conns/10, firstErr)
	}
	times, res.OverASecond = histogram{}, 0
	var err error
	if res.Before, err = t.server.memory(); err != nil {
		return nil, err
	}
	cpu0, err := t.server.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := t.each(t.conns, one); err != nil {
		return nil, err
	}
	if res.span, err = t.since(start, cpu0, func() int64 { return int64(t.conns - res.Failed) }); err != nil {
		return nil, errors.Join(err, firstErr)
	}
	if err := sleep(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	res.After, err = t.server.memory()
	res.Handshake = times.report()
	return res, err
}
