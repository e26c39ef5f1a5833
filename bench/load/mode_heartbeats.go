package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

type heartbeatsResult struct {
	Visitors int     `json:"visitors"`
	Bytes    float64 `json:"bytes_per_conn"` // growth of PSS by a visitor with a thread
	Idle     float64 `json:"idle_cores"`     // CPU seconds of the server per second while the visitors only hold their connections
	Spread   beating `json:"spread"`         // while each also sends a heartbeat every 30 s, evenly distributed
	Storm    beating `json:"storm"`          // while all send their heartbeats at the same moment, as after an outage
	Agent    int64   `json:"agent_events"`   // events that the signed-in agent received
	Dropped  int64   `json:"dropped"`
}

type beating struct {
	Sent  int64   `json:"sent"`
	Cores float64 `json:"added_cores"` // CPU seconds per second in addition to Idle, including storing
	CPU   float64 `json:"cpu_us_per_heartbeat"`
}

// heartbeats measures the cost of the heartbeats of t.conns visitors with a thread each: the server's CPU time for t.measure without
// heartbeats, then with evenly distributed ones, then with simultaneous ones. The times should be multiples of 30 s, the interval in
// which the store writes them.
func heartbeats(ctx context.Context, t *target) (any, error) {
	res := heartbeatsResult{Visitors: t.conns}
	before, err := t.warmMemory(ctx)
	if err != nil {
		return nil, err
	}
	conns, err := t.hold(ctx, t.conns)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	threads := make([]string, len(conns))
	if err := t.each(len(conns), func(i int) (err error) {
		threads[i], err = conns[i].join(i)
		return err
	}); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var dropped, heard, sent atomic.Int64
	for _, c := range conns {
		wg.Go(func() { drain(running, c, &dropped, nil) })
	}
	if t.cookie != "" {
		agent, err := t.listeningAgent(ctx)
		if err != nil {
			return nil, err
		}
		defer agent.Close()
		wg.Go(func() { drain(running, agent, &dropped, &heard) })
	}
	if err := sleep(ctx, t.settle); err != nil {
		return nil, err
	}
	cores := func() (float64, error) {
		cpu, start := time.Duration(0), time.Now()
		cpu, err := t.server.cpu()
		if err == nil {
			err = sleep(ctx, t.measure)
		}
		if err != nil {
			return 0, err
		}
		after, err := t.server.cpu()
		return (after - cpu).Seconds() / time.Since(start).Seconds(), err
	}
	if res.Idle, err = cores(); err != nil {
		return nil, err
	}
	after, err := t.server.memory()
	if err != nil {
		return nil, err
	}
	res.Bytes = float64(after.PSS-before.PSS) / float64(t.conns)
	for _, phase := range []struct {
		into *beating
		beat func(context.Context, func(int) error)
	}{{&res.Spread, spread(len(conns))}, {&res.Storm, storm(len(conns))}} {
		phased, end := context.WithCancel(running)
		var beating sync.WaitGroup
		beating.Go(func() {
			phase.beat(phased, func(i int) error {
				sent.Add(1)
				return conns[i].emit(fmt.Sprintf(`["heartbeat",{"thread_id":%q}]`, threads[i]))
			})
		})
		sent0 := sent.Load()
		with, err := cores()
		end()
		beating.Wait()
		if err != nil {
			return nil, err
		}
		b := phase.into
		if b.Sent = sent.Load() - sent0; b.Sent == 0 {
			return nil, errors.New("no heartbeat was sent")
		}
		b.Cores = with - res.Idle
		b.CPU = b.Cores * t.measure.Seconds() * 1e6 / float64(b.Sent)
	}
	res.Agent, res.Dropped = heard.Load(), dropped.Load()
	stop()
	closeAll(conns)
	return res, nil
}

// spread returns a function that sends the heartbeats of n visitors one by one, each visitor's every heartbeatEvery.
func spread(n int) func(context.Context, func(int) error) {
	return func(ctx context.Context, send func(int) error) {
		tick := time.NewTicker(heartbeatEvery / time.Duration(n))
		defer tick.Stop()
		for i := 0; ; i = (i + 1) % n {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if send(i) != nil {
				return // the reader counts the connection as dropped
			}
		}
	}
}

// storm returns a function that sends the heartbeats of all n visitors at once, every heartbeatEvery.
func storm(n int) func(context.Context, func(int) error) {
	return func(ctx context.Context, send func(int) error) {
		tick := time.NewTicker(heartbeatEvery)
		defer tick.Stop()
		for {
			for i := range n {
				if send(i) != nil {
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}
