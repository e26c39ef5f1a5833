package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

type idleResult struct {
	Conns        int     `json:"conns"`
	Before       memory  `json:"before"`
	After        memory  `json:"after"`
	BytesPerConn float64 `json:"bytes_per_conn"` // growth of PSS divided by the number of connections
	Dropped      int64   `json:"dropped"`        // connections that the server closed during the measurement
}

// idle measures connections that only answer heartbeats.
func idle(ctx context.Context, t *target) (any, error) {
	res := idleResult{Conns: t.conns}
	var err error
	if res.Before, err = t.warmMemory(ctx); err != nil {
		return nil, err
	}
	conns, err := t.hold(ctx, t.conns)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	var dropped atomic.Int64
	var over atomic.Bool
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			for {
				if _, err := c.next(); err != nil {
					if !over.Load() {
						dropped.Add(1)
					}
					return
				}
			}
		})
	}
	if err := sleep(ctx, t.settle); err != nil {
		return nil, err
	}
	if res.After, err = t.server.memory(); err != nil {
		return nil, err
	}
	over.Store(true)
	closeAll(conns)
	wg.Wait()
	res.Dropped = dropped.Load()
	if t.server == nil {
		return nil, errors.New("-pid is required")
	}
	res.BytesPerConn = float64(res.After.PSS-res.Before.PSS) / float64(t.conns)
	return res, nil
}

// warmMemory returns the server's memory after a few connections have come and gone: the first ones make a server allocate memory that it
// keeps, which must not count as a cost of each connection.
func (t *target) warmMemory(ctx context.Context) (memory, error) {
	few, err := t.hold(ctx, 100)
	if err != nil {
		return memory{}, err
	}
	for _, c := range few {
		if err := c.leave(); err != nil {
			return memory{}, err
		}
	}
	if err := sleep(ctx, 3*time.Second); err != nil {
		return memory{}, err
	}
	return t.server.memory()
}
