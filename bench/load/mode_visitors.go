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

type visitorsResult struct {
	Visitors int     `json:"visitors"`
	Before   memory  `json:"before"`
	After    memory  `json:"after"`
	Cores    float64 `json:"server_cores"`
	Messages int     `json:"messages"`
	Acked    latency `json:"acked"`     // from sending a message to its ack, which means that it is durable
	Heard    latency `json:"delivered"` // from sending a message to its arrival in the visitor's other tab
	Lost     int64   `json:"lost"`
	Agent    int64   `json:"agent_events"` // events that the signed-in agent received
	Dropped  int64   `json:"dropped"`      // visitors whose connection the server closed
}

const (
	talkers        = 20               // visitors who write, each with a second tab that receives
	talkEvery      = time.Second      // interval of each talker's messages
	heartbeatEvery = 30 * time.Second // interval of each idle visitor's heartbeats
	typingEvery    = 5 * time.Millisecond
)

// visitors loads the whole server, not only the realtime layer: t.conns visitors with a thread each hold their connection, send
// heartbeats and type occasionally, while a few others write. With -cookie a signed-in agent receives all events.
func visitors(ctx context.Context, t *target) (any, error) {
	res := visitorsResult{Visitors: t.conns}
	var err error
	if res.Before, err = t.server.memory(); err != nil {
		return nil, err
	}
	conns, err := t.hold(ctx, t.conns+2*talkers)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	idlers, writers, tabs := conns[:t.conns], conns[t.conns:t.conns+talkers], conns[t.conns+talkers:]
	threads := make([]string, t.conns+talkers)
	if err := t.each(len(threads), func(i int) (err error) {
		threads[i], err = conns[i].join(i)
		return err
	}); err != nil {
		return nil, err
	}
	for i, c := range tabs {
		if _, err := c.call(fmt.Sprintf(`["rejoin",{"thread_id":%q}]`, threads[t.conns+i])); err != nil {
			return nil, err
		}
	}

	running, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var dropped, heardByAgent atomic.Int64
	if t.cookie != "" {
		agent, err := t.listeningAgent(ctx)
		if err != nil {
			return nil, err
		}
		defer agent.Close()
		conns = append(conns, agent)
		wg.Go(func() { drain(running, agent, &dropped, &heardByAgent) })
	}
	for _, c := range idlers {
		wg.Go(func() { drain(running, c, &dropped, nil) })
	}
	wg.Go(func() { pulse(running, idlers, threads) })

	cpu0, err := t.server.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	talks := make([]talk, talkers)
	var talking sync.WaitGroup
	for i := range talks {
		talking.Go(func() { talks[i].run(running, writers[i], tabs[i], threads[t.conns+i], t.measure+t.settle) })
	}
	if err := sleep(ctx, t.settle+t.measure/2); err != nil { // measure memory in the middle of the conversation
		return nil, err
	}
	res.After, err = t.server.memory()
	talking.Wait()
	cpu1, err2 := t.server.cpu()
	res.Cores = (cpu1 - cpu0).Seconds() / time.Since(start).Seconds()
	res.Dropped = dropped.Load()
	stop()
	closeAll(conns)
	wg.Wait()
	res.Agent = heardByAgent.Load()
	var acked, heard histogram
	for i := range talks {
		err = errors.Join(err, talks[i].err)
		res.Messages += talks[i].sent
		res.Lost += int64(talks[i].sent - receivedBy(&talks[i], &acked, &heard))
	}
	res.Acked, res.Heard = acked.report(), heard.report()
	return res, errors.Join(err, err2)
}

func receivedBy(k *talk, acked, heard *histogram) int {
	acked.merge(&k.acked)
	heard.merge(&k.heard)
	return k.heard.n
}

// pulse sends the idle visitors' heartbeats, evenly distributed, and a typing event of one visitor after the other.
func pulse(ctx context.Context, conns []*conn, threads []string) {
	beat := time.NewTicker(heartbeatEvery / time.Duration(len(conns)))
	defer beat.Stop()
	typing := time.NewTicker(typingEvery)
	defer typing.Stop()
	for b, k := 0, 0; ; {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			err = conns[b%len(conns)].emit(fmt.Sprintf(`["heartbeat",{"thread_id":%q}]`, threads[b%len(conns)]))
			b++
		case <-typing.C:
			err = conns[k%len(conns)].emit(fmt.Sprintf(`["typing",{"thread_id":%q,"typing":true}]`, threads[k%len(conns)]))
			k += 7
		}
		if err != nil {
			return // the reader counts the connection as dropped
		}
	}
}

// talk is a visitor who writes one message per second, and a second tab that receives it.
type talk struct {
	sent         int
	acked, heard histogram
	err          error
}

func (k *talk) run(ctx context.Context, writer, tab *conn, thread string, length time.Duration) {
	end := time.Now().Add(length)
	for ; time.Now().Before(end); k.sent++ {
		start := time.Now()
		text := fmt.Sprintf("message %d of %d", k.sent, start.UnixNano())
		answer, err := writer.call(fmt.Sprintf(`["message",{"thread_id":%q,"text":%q}]`, thread, text))
		if err != nil || !bytes.Contains(answer, []byte(`"ok":true`)) {
			k.err = fmt.Errorf("message: %.200s (%w)", answer, errors.Join(err, errors.New("not taken")))
			return
		}
		k.acked.add(time.Since(start))
		for {
			p, err := tab.next()
			if err != nil {
				k.err = err
				return
			}
			if bytes.Contains(p, []byte(text)) {
				break
			}
		}
		k.heard.add(time.Since(start))
		if sleep(ctx, time.Until(start.Add(talkEvery))) != nil {
			return
		}
	}
}
