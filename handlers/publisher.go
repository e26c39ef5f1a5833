package handlers

import (
	"log/slog"

	"sohbet/server/chat"
	"sohbet/server/realtime"
)

// Publisher carries what the chat service publishes to the sockets of this process. An event that goes to several rooms is
// encoded once.
type Publisher struct {
	Realtime *realtime.Server
	Log      *slog.Logger
}

var _ chat.Publisher = (*Publisher)(nil)

// Publish queues a publication to everybody whom it concerns.
func (p *Publisher) Publish(c chat.Publication) {
	encoded := make(map[*chat.Event]realtime.Frame, 4)
	frames := func(events []*chat.Event) []realtime.Frame {
		out := make([]realtime.Frame, 0, len(events))
		for _, e := range events {
			f, ok := encoded[e]
			if !ok {
				var err error
				if f, err = p.Realtime.Encode(e.Name, e.Payload); err != nil {
					p.Log.Error("event not encoded", "event", e.Name, "error", err)
					continue
				}
				encoded[e] = f
			}
			out = append(out, f)
		}
		return out
	}
	out := realtime.Publication{Except: c.Except, Volatile: c.Volatile}
	if c.ThreadID != "" && len(c.Thread) > 0 {
		out.First = realtime.Group{Room: threadRoom(c.ThreadID), Frames: frames(c.Thread)}
		switch c.Side {
		case chat.Visitor:
			out.First.Only = visitorSide
		case chat.Agent:
			out.First.Only = agentSide
		}
	}
	if len(c.Agents) > 0 && p.Realtime.Members(agentsRoom) > 0 { // or it would be encoded for nobody
		out.Second = realtime.Group{Room: agentsRoom, Frames: frames(c.Agents)}
	}
	p.Realtime.Publish(out)
}
