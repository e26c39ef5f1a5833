package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

type historyResult struct {
	Pages int     `json:"pages"`
	Took  latency `json:"took"`
}

// history reads t.events pages of 50 messages from the middle of the newest conversation, one after the other, as an agent (-cookie) does
// who scrolls up.
func history(ctx context.Context, t *target) (any, error) {
	thread, err := t.newestThread(ctx)
	if err != nil {
		return nil, err
	}
	agent, err := t.listeningAgent(ctx)
	if err != nil {
		return nil, err
	}
	defer agent.Close()
	page := func(before int64) (first int64, n int, err error) {
		ask := fmt.Sprintf(`["history",{"thread_id":%q}]`, thread)
		if before > 0 {
			ask = fmt.Sprintf(`["history",{"thread_id":%q,"before_id":%d}]`, thread, before)
		}
		answer, err := agent.call(ask)
		if err != nil {
			return 0, 0, err
		}
		var ack struct {
			OK       bool
			Messages []struct{ ID int64 }
		}
		if err := json.Unmarshal(answer, &[]any{&ack}); err != nil || !ack.OK || len(ack.Messages) == 0 {
			return 0, 0, fmt.Errorf("unexpected answer to history: %.200s", answer)
		}
		return ack.Messages[0].ID, len(ack.Messages), nil
	}
	newest, _, err := page(0)
	if err != nil {
		return nil, err
	}
	var took histogram
	for range t.events {
		before := newest/4 + rand.Int64N(newest/2)
		start := time.Now()
		_, n, err := page(before)
		if err != nil {
			return nil, err
		}
		if n != 50 {
			return nil, fmt.Errorf("a page of %d messages", n)
		}
		took.add(time.Since(start))
	}
	return historyResult{t.events, took.report()}, nil
}

func (t *target) newestThread(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.addr+"/api/threads?limit=1", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Cookie", t.cookie)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var threads []struct{ ID string }
	if err := json.NewDecoder(res.Body).Decode(&threads); err != nil || len(threads) != 1 {
		return "", fmt.Errorf("/api/threads: status %d, %d threads (%w)", res.StatusCode, len(threads), err)
	}
	return threads[0].ID, nil
}
