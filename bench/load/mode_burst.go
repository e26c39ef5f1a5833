package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

type burstResult struct {
	Events int       `json:"events"`
	Up     burstSide `json:"up"`   // client to server, in one write
	Down   burstSide `json:"down"` // server to client, emitted without a pause
	Room   burstSide `json:"room"` // client to a room that contains the client itself, and back
}

type burstSide struct {
	Lost      int     `json:"lost"`
	Misplaced int     `json:"misplaced"` // duplicate or out of order
	Seconds   float64 `json:"seconds"`

	received int
}

// burst sends t.events events at once in each direction and counts those that were lost or misplaced.
func burst(ctx context.Context, t *target) (any, error) {
	res := burstResult{Events: t.events}
	for _, side := range []struct {
		into *burstSide
		run  func(*target, *conn) (burstSide, error)
	}{{&res.Up, burstUp}, {&res.Down, burstDown}, {&res.Room, burstRoom}} {
		c, err := t.connect(ctx, 0)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		*side.into, err = side.run(t, c)
		side.into.Lost = t.events - side.into.received
		side.into.Seconds = time.Since(start).Seconds()
		c.Close()
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}

func burstUp(t *target, c *conn) (side burstSide, err error) {
	var out bytes.Buffer
	for i := range t.events {
		out.Write(textFrame(fmt.Sprintf(`42["up",%d]`, i)))
	}
	if _, err = c.Write(out.Bytes()); err != nil {
		return side, err
	}
	answer, err := c.call(`["up-report"]`)
	if err != nil {
		return side, err
	}
	return side, json.Unmarshal(answer, &[]any{&side.received, &side.Misplaced})
}

func burstDown(t *target, c *conn) (burstSide, error) {
	if err := c.emit(fmt.Sprintf(`["down",%d]`, t.events)); err != nil {
		return burstSide{}, err
	}
	return c.collect(t.events, func(p []byte) (n int, ok bool) {
		_, err := fmt.Sscanf(string(p), `42["seq",%d]`, &n)
		return n, err == nil
	})
}

func burstRoom(t *target, c *conn) (burstSide, error) {
	if _, err := c.call(`["join-room","alone"]`); err != nil {
		return burstSide{}, err
	}
	var out bytes.Buffer
	for i := range t.events {
		out.Write(textFrame(fmt.Sprintf(`42["fan","alone",{"id":%d}]`, i)))
	}
	sent := make(chan error, 1)
	go func() { // concurrently with reading, so that neither side blocks on a full buffer
		_, err := c.Write(out.Bytes())
		sent <- err
	}()
	side, err := c.collect(t.events, messageNumber)
	if err == nil {
		err = <-sent
	}
	return side, err
}
