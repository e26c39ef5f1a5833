package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type returnResult struct {
	Visitors int     `json:"visitors"`
	Lost     int     `json:"lost"`         // visitors who were connected to the killed process
	Half     float64 `json:"half_seconds"` // until half of them were reconnected, in their threads and with the messages they missed
	All      float64 `json:"all_seconds"`
	Tries    int64   `json:"tries"`
	Cores    float64 `json:"server_cores"`        // of the remaining processes, during the return
	Database float64 `json:"database_peak_cores"` // of PostgreSQL, in the busiest quarter of a second
	Calm     float64 `json:"database_calm_cores"` // before the kill
}

const (
	firstDelay = 400 * time.Millisecond // as on the chat page, half of it random
	lastDelay  = 4 * time.Second
	sampling   = 250 * time.Millisecond
)

// comeBack distributes t.conns visitors with a thread each over the servers, kills the last server, and waits until its visitors are
// connected to the others, in their threads, with the messages they missed.
func comeBack(ctx context.Context, t *target) (any, error) {
	if len(t.urls) < 2 || t.server == nil || len(t.server.pids) != len(t.urls) {
		return nil, errors.New("at least two servers and their -pid are required")
	}
	last := len(t.urls) - 1
	conns, err := t.hold(ctx, t.conns)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	threads := make([]string, t.conns)
	if err := t.each(t.conns, func(i int) (err error) {
		threads[i], err = conns[i].join(i)
		return err
	}); err != nil {
		return nil, err
	}
	for i, c := range conns {
		if i%len(t.urls) != last {
			go func() { drain(ctx, c, new(atomic.Int64), nil) }() // ends when the connection is closed
		}
	}
	res := returnResult{Visitors: t.conns}
	if res.Calm, err = databaseCores(t.database, t.measure); err != nil {
		return nil, err
	}

	left := &process{t.server.pids[:last]}
	cpu0, err := left.cpu()
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	peak := make(chan float64, 1)
	go func() {
		most := 0.0
		for watching.Err() == nil {
			if cores, err := databaseCores(t.database, sampling); err == nil {
				most = max(most, cores)
			}
		}
		peak <- most
	}()
	start := time.Now()
	if err := syscall.Kill(t.server.pids[last], syscall.SIGKILL); err != nil {
		return nil, err
	}
	var back []time.Duration
	var mu sync.Mutex
	var wg sync.WaitGroup
	var tries atomic.Int64
	failed := make(chan error, t.conns)
	for i := range conns {
		if i%len(t.urls) != last {
			continue
		}
		res.Lost++
		wg.Go(func() {
			for { // until its server is killed
				if _, err := conns[i].next(); err != nil {
					break
				}
			}
			c, err := t.returning(ctx, i, threads[i], t.urls[:last], &tries)
			if err != nil {
				failed <- err
				return
			}
			conns[i] = c
			mu.Lock()
			back = append(back, time.Since(start))
			mu.Unlock()
			drain(watching, c, new(atomic.Int64), nil)
		})
	}
	for n := 0; n < res.Lost; {
		select {
		case err := <-failed:
			return nil, err
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		mu.Lock()
		n = len(back)
		mu.Unlock()
	}
	res.Half, res.All = back[res.Lost/2].Seconds(), back[res.Lost-1].Seconds()
	cpu1, err := left.cpu()
	if err != nil {
		return nil, err
	}
	res.Cores = (cpu1 - cpu0).Seconds() / time.Since(start).Seconds()
	res.Tries = tries.Load()
	stop()
	res.Database = <-peak
	closeAll(conns)
	wg.Wait()
	return res, nil
}

// returning reconnects as an official client that has lost its server does, and rejoins the thread.
func (t *target) returning(ctx context.Context, i int, thread string, servers []*url.URL, tries *atomic.Int64) (*conn, error) {
	for delay := firstDelay; ; delay = min(2*delay, lastDelay) {
		if err := sleep(ctx, delay/2+rand.N(delay)); err != nil {
			return nil, err
		}
		tries.Add(1)
		c, err := t.connectTo(ctx, servers[rand.IntN(len(servers))], i)
		if err != nil {
			continue
		}
		for _, ask := range []string{
			fmt.Sprintf(`["rejoin",{"thread_id":%q}]`, thread),
			fmt.Sprintf(`["history",{"thread_id":%q,"after_id":0}]`, thread),
		} {
			answer, callErr := c.call(ask)
			if err = callErr; err == nil && !bytes.Contains(answer, []byte(`"ok":true`)) {
				err = fmt.Errorf("answered with %.200s", answer)
			}
			if err != nil {
				break
			}
		}
		if err == nil {
			return c, nil
		}
		c.Close()
	}
}

// databaseCores returns PostgreSQL's CPU usage over a time, in cores.
func databaseCores(pid int, over time.Duration) (float64, error) {
	before, err := databaseCPU(pid)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	time.Sleep(over)
	after, err := databaseCPU(pid)
	return (after - before).Seconds() / time.Since(start).Seconds(), err
}
