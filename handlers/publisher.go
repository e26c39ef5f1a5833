package handlers

import (
	"context"
	"log/slog"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/cluster"
	"sohbet/server/realtime"
)

// AgentsRoom and ThreadRooms name the rooms for the cluster: that of all agents, and the beginning of the names of those of
// threads.
const (
	AgentsRoom  = agentsRoom
	ThreadRooms = "thread:"
)

// Publisher carries what the chat service publishes to the sockets of this process and, with a cluster, of all others. An event
// that goes to several rooms is encoded once.
type Publisher struct {
	Realtime *realtime.Server
	Cluster  *cluster.Cluster // nil: there is only this process
	Log      *slog.Logger
}

var _ chat.Publisher = (*Publisher)(nil)

// Publish queues a publication to everybody whom it concerns.
func (p *Publisher) Publish(c chat.Publication) {
	if p.Cluster != nil && !c.Here {
		post := p.post(c)
		p.Cluster.Publish(&post)
		return
	}
	p.Realtime.Publish(p.encode(c, p.Realtime.Members(agentsRoom) > 0)) // or it would be encoded for nobody
	if c.Then != nil {
		c.Then()
	}
}

// post is a publication for all processes.
func (p *Publisher) post(c chat.Publication) cluster.Post {
	return cluster.Post{Publication: p.encode(c, true), Thread: c.ThreadID, ID: c.MessageID, Follows: c.Follows, Then: c.Then}
}

// encode encodes a publication. For agents it does so only if there are any.
func (p *Publisher) encode(c chat.Publication, agents bool) realtime.Publication {
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
	if len(c.Agents) > 0 && agents {
		out.Second = realtime.Group{Room: agentsRoom, Frames: frames(c.Agents)}
	}
	return out
}

// Rest is what the cluster asks of the rest of this process.
type Rest struct {
	*models.Store
	Chat      *chat.Service
	Publisher *Publisher
}

var _ cluster.Source = Rest{}

// Recall returns what was published of messages that are stored.
func (r Rest) Recall(ctx context.Context, thread string, after, upTo int64, limit int) ([]cluster.Post, bool, error) {
	found, more, err := r.Chat.Recall(ctx, thread, after, upTo, limit)
	posts := make([]cluster.Post, len(found))
	for i, c := range found {
		posts[i] = r.Publisher.post(c)
	}
	return posts, more, err
}

// Turned takes in what another process has turned.
func (r Rest) Turned(what string) {
	if what == models.TurnedSwitch {
		r.Chat.LookAway()
		return
	}
	r.Heard(what)
}

// ClearedAll tells everybody here that all threads are gone.
func (r Rest) ClearedAll() { r.Chat.ClearedAll() }

// Resync asks everybody here to look anew.
func (r Rest) Resync() { r.Chat.Resync() }

// VisitorsHere lists the threads whose visitors are at this process.
func (r Rest) VisitorsHere() []string { return r.Chat.VisitorsHere() }

// Lost tells agents of a visitor whose process ended without a word.
func (r Rest) Lost(ctx context.Context, thread string) { r.Chat.Lost(ctx, thread) }
