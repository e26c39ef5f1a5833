package handlers

import (
	"context"
	"slices"

	"sohbet/assets"
	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/chat"
	"sohbet/server/publish"
	"sohbet/server/realtime"
)

// Handlers of the console's events. The agent is signed in.

func (p *peer) adminJoin(ctx context.Context, agent chat.Actor, _ noPayload, e realtime.Event) error {
	p.socket.SetSide(publish.AgentSide)
	p.socket.Join(publish.AgentsRoom)
	p.mu.Lock()
	p.console.Agent, p.isConsole = int64(agent.AgentID), true
	p.reportConsole()
	p.mu.Unlock()
	jobs, err := p.h.Chat.Jobs(ctx, agent)
	if err != nil { // agents work without the progress of jobs, also while the database is unavailable
		jobs = []chat.JobView{}
	}
	mentioned, err := p.h.Chat.Mentioned(ctx, agent)
	if err != nil { // likewise
		mentioned = []chat.ThreadView{}
	}
	team := p.h.Chat.Team()
	answerEvent(e, succeeded{"away": team.Away, "team": team, "storage": p.h.Chat.Storage(ctx), "build": assets.Build(), "jobs": jobs, "mentions": mentioned, "idle_seconds": int64(p.h.Idle.Seconds())})
	p.h.Presence.Greet(p.emit)
	return nil
}

// reportConsole records what is known of the console. p.mu is held.
func (p *peer) reportConsole() {
	if p.isConsole && !p.gone {
		p.h.Presence.Set(p.socket.ID(), p.console)
	}
}

func (p *peer) joinThread(ctx context.Context, agent chat.Actor, in threadPayload, e realtime.Event) error {
	if err := p.h.Chat.Watch(ctx, agent, in.ThreadID); err != nil {
		return err
	}
	p.watch(in.ThreadID)
	answerEvent(e, nil)
	return nil
}

// watch adds an agent to a thread's room.
func (p *peer) watch(threadID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.socket.SetSide(publish.AgentSide)
	p.socket.Join(publish.ThreadRoom(threadID))
	if !slices.Contains(p.watching, threadID) {
		p.watching = append(p.watching, threadID)
	}
	p.console.Thread = threadID
	p.reportConsole()
}

func (p *peer) leaveThread(_ context.Context, _ chat.Actor, in threadPayload, e realtime.Event) error {
	p.mu.Lock()
	p.watching = slices.DeleteFunc(p.watching, func(id string) bool { return id == in.ThreadID })
	if p.console.Thread == in.ThreadID {
		p.console.Thread = ""
		p.reportConsole()
	}
	p.mu.Unlock()
	p.socket.Leave(publish.ThreadRoom(in.ThreadID))
	answerEvent(e, nil)
	return nil
}

// presence records whether an agent's console is visible, and whether it has been idle for AGENT_IDLE.
func (p *peer) presence(_ context.Context, _ chat.Actor, in presencePayload, e realtime.Event) error {
	if in.Visible == nil {
		return apperr.Invalid("visible", "visible must be true or false.")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		p.h.Consoles.InView(p.socket.ID(), *in.Visible)
	}
	p.console.Visible, p.console.Idle = *in.Visible, in.Idle
	p.reportConsole()
	answerEvent(e, nil)
	return nil
}

func (p *peer) visitorDetails(ctx context.Context, agent chat.Actor, in threadPayload, e realtime.Event) error {
	facts, err := p.h.Chat.VisitorDetails(ctx, agent, in.ThreadID)
	return doneWith(e, err, "facts", facts)
}

func (p *peer) editMessage(ctx context.Context, agent chat.Actor, in editPayload, e realtime.Event) error {
	m, err := p.h.Chat.Edit(ctx, agent, in.ThreadID, int64(in.ID), in.Text)
	return doneWith(e, err, "message", m)
}

func (p *peer) setStatus(ctx context.Context, agent chat.Actor, in statusPayload, e realtime.Event) error {
	return done(e, p.h.Chat.SetStatus(ctx, agent, in.ThreadID, in.Status))
}

func (p *peer) assign(ctx context.Context, agent chat.Actor, in assignPayload, e realtime.Event) error {
	var from *models.AgentID
	if in.From != nil {
		from = new(models.AgentID(*in.From))
	}
	return done(e, p.h.Chat.Assign(ctx, agent, in.ThreadID, models.AgentID(in.AgentID), from, in.Note))
}

func (p *peer) setAway(ctx context.Context, agent chat.Actor, in awayPayload, e realtime.Event) error {
	if in.Away == nil {
		return apperr.Invalid("away", "away must be true or false.")
	}
	err := p.h.Chat.SetAway(ctx, agent, *in.Away)
	return doneWith(e, err, "team", p.h.Chat.Team())
}

func (p *peer) blockThread(ctx context.Context, agent chat.Actor, in blockPayload, e realtime.Event) error {
	b, err := p.h.Chat.BlockVisitor(ctx, agent, in.ThreadID, in.Address)
	return doneWith(e, err, "block", b)
}

func (p *peer) unblockThread(ctx context.Context, agent chat.Actor, in threadPayload, e realtime.Event) error {
	return done(e, p.h.Chat.Unblock(ctx, agent, in.ThreadID))
}

func (p *peer) note(ctx context.Context, agent chat.Actor, in notePayload, e realtime.Event) error {
	n, err := p.h.Chat.AddNote(ctx, agent, in.ThreadID, in.Text, in.ClientID)
	return doneWith(e, err, "note", n)
}

func (p *peer) notes(ctx context.Context, agent chat.Actor, in notesPayload, e realtime.Event) error {
	list, err := p.h.Chat.Notes(ctx, agent, in.ThreadID, in.Seen == nil || *in.Seen)
	return doneWith(e, err, "notes", list)
}

func (p *peer) noteDelete(ctx context.Context, agent chat.Actor, in noteDeletePayload, e realtime.Event) error {
	return done(e, p.h.Chat.DeleteNote(ctx, agent, in.ThreadID, int64(in.ID)))
}

// doneWith acknowledges an event with one field.
func doneWith(e realtime.Event, err error, field string, value any) error {
	if err == nil {
		answerEvent(e, succeeded{field: value})
	}
	return err
}
