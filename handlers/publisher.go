package handlers

import (
	"context"
	"log/slog"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/cluster"
	"sohbet/server/realtime"
)

// AgentsRoom is the name of the room of all agents, ThreadRooms the prefix of the names of threads' rooms.
const (
	AgentsRoom  = agentsRoom
	ThreadRooms = "thread:"
)

// Publisher sends the publications of the chat service to the sockets of this process and, with a cluster, of all others. An event for
// several rooms is encoded once.
type Publisher struct {
	Realtime *realtime.Server
	Cluster  *cluster.Cluster // nil = this is the only process
	Log      *slog.Logger
}

var _ chat.Publisher = (*Publisher)(nil)

// Publish queues a publication for all sockets that should receive it.
func (p *Publisher) Publish(c chat.Publication) {
	if p.Cluster != nil && !c.Here {
		post := p.post(c)
		p.Cluster.Publish(&post)
		return
	}
	p.Realtime.Publish(p.encode(c, p.Realtime.Members(agentsRoom) > 0)) // without agents there is no need to encode for them
	if c.Then != nil {
		c.Then()
	}
}

// post converts a publication for all processes.
func (p *Publisher) post(c chat.Publication) cluster.Post {
	return cluster.Post{Publication: p.encode(c, true), Thread: c.ThreadID, ID: c.MessageID, Follows: c.Follows, Then: c.Then}
}

// encode encodes a publication; the events for agents only if there are any.
func (p *Publisher) encode(c chat.Publication, agents bool) realtime.Publication {
	encoded := make(map[*chat.Event]realtime.Frame, 4)
	frames := func(events []*chat.Event) []realtime.Frame {
		out := make([]realtime.Frame, 0, len(events))
		for _, e := range events {
			f, ok := encoded[e]
			if !ok {
				var err error
				if f, err = p.Realtime.Encode(e.Name, e.Payload); err != nil {
					p.Log.Error("failed to encode an event", "event", e.Name, "error", err)
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
	if len(c.Agents) > 0 && agents {
		out.Second = realtime.Group{Room: agentsRoom, Frames: frames(c.Agents)}
	}
	return out
}

// Rest implements cluster.Source with the store and the chat service of this process.
type Rest struct {
	*models.Store
	Chat      *chat.Service
	Publisher *Publisher
}

var _ cluster.Source = Rest{}

// Recall returns the publications of stored messages.
func (r Rest) Recall(ctx context.Context, thread string, after, upTo int64, limit int) ([]cluster.Post, bool, error) {
	found, more, err := r.Chat.Recall(ctx, thread, after, upTo, limit)
	posts := make([]cluster.Post, len(found))
	for i, c := range found {
		posts[i] = r.Publisher.post(c)
	}
	return posts, more, err
}

// Turned applies a change that another process announced.
func (r Rest) Turned(what string) {
	if what == models.TurnedSwitch {
		r.Chat.AwayChanged()
		return
	}
	r.Heard(what)
}

// ClearedAll notifies all clients of this process that every thread was deleted.
func (r Rest) ClearedAll() { r.Chat.ClearedAll() }

// Resync asks all clients of this process to refetch their state.
func (r Rest) Resync() { r.Chat.Resync() }

// VisitorsHere lists the threads whose visitors are connected to this process.
func (r Rest) VisitorsHere() []string { return r.Chat.VisitorsHere() }

// Lost notifies agents that a visitor is offline because the process that served them crashed.
func (r Rest) Lost(ctx context.Context, thread string) { r.Chat.Lost(ctx, thread) }
