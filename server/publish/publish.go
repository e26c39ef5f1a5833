// Package publish encodes the publications of the chat service once and publishes them to rooms through the broker.
package publish

import (
	"context"
	"log/slog"

	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/realtime"
)

// AgentsRoom is the room of all sockets that sent admin_join.
const AgentsRoom = "agents"

// ThreadRoom returns the room of a thread.
func ThreadRoom(id string) string { return "thread:" + id }

// The sides of a thread's room.
const (
	VisitorSide realtime.Side = 1 + iota
	AgentSide
)

// Broker delivers to the members of rooms on all processes.
type Broker interface {
	Publish(*broker.Delivery)
	// Reaches reports whether a room may have members.
	Reaches(room string) bool
}

// Publisher sends the publications of the chat service to sockets. An event for several rooms is encoded once.
type Publisher struct {
	Sockets *realtime.Server
	Broker  Broker
	Log     *slog.Logger
}

var _ chat.Publisher = (*Publisher)(nil)

// Publish queues a publication for all sockets that should receive it.
func (p *Publisher) Publish(c chat.Publication) {
	d := p.delivery(c)
	if !c.Here {
		p.Broker.Publish(&d)
		return
	}
	p.Sockets.Publish(d.Publication)
	if c.Then != nil {
		c.Then()
	}
}

// History is the part of chat.Service that reads stored messages.
type History interface {
	Backfill(ctx context.Context, thread string, after, upTo int64, limit int) ([]chat.Publication, bool, error)
}

// Backfill returns a function for [broker.Local] that reads stored messages.
func (p *Publisher) Backfill(h History) func(context.Context, string, int64, int64, int) ([]broker.Delivery, bool, error) {
	return func(ctx context.Context, thread string, after, upTo int64, limit int) ([]broker.Delivery, bool, error) {
		found, more, err := h.Backfill(ctx, thread, after, upTo, limit)
		deliveries := make([]broker.Delivery, len(found))
		for i, c := range found {
			deliveries[i] = p.delivery(c)
		}
		return deliveries, more, err
	}
}

// delivery encodes a publication; events for agents only if there may be any, because a process alone often has none.
func (p *Publisher) delivery(c chat.Publication) broker.Delivery {
	encoded := make(map[*chat.Event]realtime.Frame, 4)
	frames := func(events []*chat.Event) []realtime.Frame {
		out := make([]realtime.Frame, 0, len(events))
		for _, e := range events {
			f, ok := encoded[e]
			if !ok {
				var err error
				if f, err = p.Sockets.Encode(e.Name, e.Payload); err != nil {
					p.Log.Error("failed to encode an event", "event", e.Name, "error", err)
					continue
				}
				encoded[e] = f
			}
			out = append(out, f)
		}
		return out
	}
	d := broker.Delivery{Thread: c.ThreadID, ID: c.MessageID, Follows: c.Follows, Presence: c.Presence, Done: c.Then}
	d.Except, d.Volatile, d.Rev, d.State = c.Except, c.Volatile, c.Rev, c.State
	if c.ThreadID != "" && len(c.Thread) > 0 {
		d.First = realtime.Group{Room: ThreadRoom(c.ThreadID), Frames: frames(c.Thread)}
		switch c.Side {
		case chat.Visitor:
			d.First.Only = VisitorSide
		case chat.Agent:
			d.First.Only = AgentSide
		}
	}
	if len(c.Agents) > 0 && p.Broker.Reaches(AgentsRoom) {
		d.Second = realtime.Group{Room: AgentsRoom, Frames: frames(c.Agents)}
	}
	return d
}
