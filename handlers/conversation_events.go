package handlers

import (
	"context"
	"time"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/realtime"
)

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
	if actor.Role == chat.Agent {
		return done(e, p.h.Chat.AgentTyping(ctx, actor, in.ThreadID, on, in.Note))
	}
	return done(e, p.h.Chat.Typing(ctx, actor, in.ThreadID, on))
}

func (p *peer) read(ctx context.Context, actor chat.Actor, in markPayload, e realtime.Event) error {
	return done(e, p.h.Chat.Read(ctx, actor, in.ThreadID, int64(in.LastID)))
}

func (p *peer) delivered(ctx context.Context, actor chat.Actor, in markPayload, e realtime.Event) error {
	return done(e, p.h.Chat.Delivered(ctx, actor, in.ThreadID, int64(in.LastID)))
}

func (p *peer) history(ctx context.Context, actor chat.Actor, in historyPayload, e realtime.Event) error {
	var messages []chat.Message
	var more bool
	var err error
	q := models.MessageQuery{BeforeID: int64(in.BeforeID), Limit: in.Limit}
	if in.AfterID != nil && *in.AfterID == 0 && in.BeforeID == 0 {
		messages, more, err = p.h.Chat.Beginning(ctx, actor, in.ThreadID, in.Limit)
	} else {
		if in.AfterID != nil {
			q.AfterID = int64(*in.AfterID)
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
