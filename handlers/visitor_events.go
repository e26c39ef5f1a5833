package handlers

import (
	"context"
	"errors"
	"time"

	"sohbet/assets"
	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/realtime"
)

func (p *peer) join(ctx context.Context, visitor chat.Actor, in joinPayload, e realtime.Event) error {
	request := chat.JoinRequest{ThreadID: in.ThreadID, Profile: chat.Profile{
		DisplayName: in.DisplayName, PhoneNumber: string(in.PhoneNumber), PageURL: in.PageURL, PageTitle: in.PageTitle, Locale: in.Locale, Email: in.Email,
	}}
	if in.Identity != nil {
		request.Identity = &chat.SignedIdentity{ID: string(in.Identity.ID), Hash: in.Identity.Hash}
	}
	joined, err := p.h.Chat.Join(ctx, visitor, request)
	if err != nil {
		return err
	}
	p.welcome(e, joined)
	return nil
}

func (p *peer) rejoin(ctx context.Context, visitor chat.Actor, in threadPayload, e realtime.Event) error {
	joined, err := p.h.Chat.Rejoin(ctx, visitor, in.ThreadID)
	switch {
	case err == nil:
		p.welcome(e, joined)
		return nil
	case errors.Is(err, chat.ErrThreadNotFound):
		if p.threads.Has(in.ThreadID) { // its next message creates the thread again, so the socket must be in its room
			p.enter(in.ThreadID)
		}
		p.emit("rejoin_failed", struct {
			Message  string `json:"message"`
			ThreadID string `json:"thread_id"`
		}{chat.ErrThreadNotFound.Message, in.ThreadID})
		if e.Ack == nil {
			return nil
		}
	}
	return err
}

// welcome adds the visitor to the thread's room and reports success by event and acknowledgement.
func (p *peer) welcome(e realtime.Event, j chat.Joined) {
	p.enter(j.ThreadID)
	p.emit("joined", struct {
		ThreadID string `json:"thread_id"`
	}{j.ThreadID})
	team := p.h.Chat.Team()
	answerEvent(e, succeeded{
		"thread_id": j.ThreadID, "resumed": j.Resumed, "away": team.Away, "team": team,
		"team_read_id": j.TeamReadID, "team_received_id": j.TeamReceivedID, "status": j.Status, "rating": j.Rating, "build": assets.Build(),
	})
}

// post passes a message to the chat service and acknowledges it once it is durable. The acknowledgements of one socket are in the order
// of its messages.
func (p *peer) post(ctx context.Context, actor chat.Actor, in messagePayload, e realtime.Event) error {
	if in.ThreadID == "" && e.Name == "message" {
		actor = p.asVisitor() // whose only thread it is for
	}
	text, kind := in.Text, in.Type
	if text == "" {
		text = in.ContentText
	}
	if kind == "" {
		kind = in.ContentType
	}
	post := chat.Post{ThreadID: in.ThreadID, Text: text, Type: kind, FileURL: in.FileURL, ClientID: in.ClientID}
	start := time.Now()
	err := p.h.Chat.PostAsync(ctx, actor, post, func(m chat.Message, err error) {
		if err != nil {
			p.refuse(ctx, e, err)
		} else {
			answerEvent(e, succeeded{"message": m})
		}
		p.counted(ctx, e.Name, start, err)
	})
	if err != nil {
		return err
	}
	return errLater
}

func (p *peer) typing(ctx context.Context, actor chat.Actor, in typingPayload, e realtime.Event) error {
	on := in.Typing == nil || *in.Typing
	return done(e, p.h.Chat.Typing(ctx, actor, in.ThreadID, on))
}

func (p *peer) read(ctx context.Context, actor chat.Actor, in markPayload, e realtime.Event) error {
	return done(e, p.h.Chat.Read(ctx, actor, in.ThreadID, in.LastID))
}

func (p *peer) delivered(ctx context.Context, actor chat.Actor, in markPayload, e realtime.Event) error {
	return done(e, p.h.Chat.Delivered(ctx, actor, in.ThreadID, in.LastID))
}

func (p *peer) heartbeat(ctx context.Context, visitor chat.Actor, in threadPayload, e realtime.Event) error {
	return done(e, p.h.Chat.Heartbeat(ctx, visitor, in.ThreadID))
}

func (p *peer) page(ctx context.Context, visitor chat.Actor, in pagePayload, e realtime.Event) error {
	return done(e, p.h.Chat.Page(ctx, visitor, in.ThreadID, in.PageURL, in.PageTitle))
}

func (p *peer) contact(ctx context.Context, visitor chat.Actor, in contactPayload, e realtime.Event) error {
	return done(e, p.h.Chat.Contact(ctx, visitor, in.ThreadID, in.Email, string(in.PhoneNumber)))
}

func (p *peer) rate(ctx context.Context, visitor chat.Actor, in ratePayload, e realtime.Event) error {
	return done(e, p.h.Chat.Rate(ctx, visitor, in.ThreadID, in.Score, in.Comment))
}

func (p *peer) history(ctx context.Context, actor chat.Actor, in historyPayload, e realtime.Event) error {
	var messages []chat.Message
	var more bool
	var err error
	q := models.MessageQuery{BeforeID: in.BeforeID, Limit: in.Limit}
	if in.AfterID != nil && *in.AfterID == 0 && in.BeforeID == 0 {
		messages, more, err = p.h.Chat.Beginning(ctx, actor, in.ThreadID, in.Limit)
	} else {
		if in.AfterID != nil {
			q.AfterID = *in.AfterID
		}
		messages, more, err = p.h.Chat.History(ctx, actor, in.ThreadID, q)
	}
	if err != nil {
		return err
	}
	size := 0
	for i := range messages {
		size += len(messages[i].ContentText)
	}
	p.h.Events.Spend(p.socket.ConnectionID(), p.address, size/bytesPerEvent)
	answerEvent(e, succeeded{"messages": messages, "has_more": more})
	return nil
}

// done acknowledges an event without additional fields.
func done(e realtime.Event, err error) error {
	if err == nil {
		answerEvent(e, nil)
	}
	return err
}
