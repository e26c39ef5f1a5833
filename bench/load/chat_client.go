package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
)

// join creates a thread and returns its id.
func (c *conn) join(i int) (string, error) {
	answer, err := c.call(fmt.Sprintf(`["join",{"display_name":"Visitor %d","locale":"en"}]`, i))
	if err != nil {
		return "", err
	}
	var ack struct {
		OK       bool
		ThreadID string `json:"thread_id"`
	}
	if err := json.Unmarshal(answer, &[]any{&ack}); err != nil || !ack.OK || ack.ThreadID == "" {
		return "", fmt.Errorf("unexpected answer to join: %s", answer)
	}
	return ack.ThreadID, nil
}

// drain reads and counts the packets of a connection.
func drain(running context.Context, c *conn, dropped, count *atomic.Int64) {
	for {
		if _, err := c.next(); err != nil {
			if running.Err() == nil {
				dropped.Add(1)
			}
			return
		}
		if count != nil {
			count.Add(1)
		}
	}
}

// listeningAgent connects with the agent's cookie and joins as an agent.
func (t *target) listeningAgent(ctx context.Context) (*conn, error) {
	agent, err := t.connect(ctx, 0)
	if err != nil {
		return nil, err
	}
	if answer, err := agent.call(`["admin_join"]`); err != nil || !bytes.Contains(answer, []byte(`"ok":true`)) {
		agent.Close()
		return nil, fmt.Errorf("admin_join: %s (%w)", answer, errors.Join(err, errors.New("refused")))
	}
	return agent, nil
}
