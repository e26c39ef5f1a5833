package handlers

import (
	"context"
	"net/http"

	"sohbet/server/chat"
	"sohbet/server/realtime"
)

// Handlers for delivery marks, visitors' details and the console's actions.

func (p *peer) delivered(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.Delivered(ctx, p.in(in.ThreadID), in.ThreadID, in.LastID))
}

func (p *peer) page(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.Page(ctx, p.asVisitor(), in.ThreadID, in.PageURL, in.PageTitle))
}

func (p *peer) contact(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.Contact(ctx, p.asVisitor(), in.ThreadID, in.Email, string(in.PhoneNumber)))
}

func (p *peer) rate(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.Rate(ctx, p.asVisitor(), in.ThreadID, in.Score, in.Comment))
}

func (p *peer) facts(ctx context.Context, in input, e realtime.Event) error {
	facts, err := p.h.Chat.Facts(ctx, p.asAgent(), in.ThreadID)
	if err != nil {
		return err
	}
	answerEvent(e, succeeded{"facts": facts})
	return nil
}

func (p *peer) setStatus(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.SetStatus(ctx, p.asAgent(), in.ThreadID, in.Status))
}

func (p *peer) setAway(ctx context.Context, in input, e realtime.Event) error {
	actor, err := p.agent()
	if err != nil {
		return err
	}
	if in.Away == nil {
		return &chat.Error{Code: chat.CodeValidation, Field: "away", Message: "away must be true or false.", Status: http.StatusBadRequest}
	}
	if err := p.h.Chat.SetAway(ctx, actor, *in.Away); err != nil {
		return err
	}
	answerEvent(e, succeeded{"team": p.h.Chat.Team()})
	return nil
}

func (p *peer) editMessage(ctx context.Context, in input, e realtime.Event) error {
	m, err := p.h.Chat.Edit(ctx, p.asAgent(), in.ThreadID, in.ID, in.Text)
	if err != nil {
		return err
	}
	answerEvent(e, succeeded{"message": m})
	return nil
}

func (p *peer) note(ctx context.Context, in input, e realtime.Event) error {
	n, err := p.h.Chat.AddNote(ctx, p.asAgent(), in.ThreadID, in.Text, in.ClientID)
	if err != nil {
		return err
	}
	answerEvent(e, succeeded{"note": n})
	return nil
}

func (p *peer) notes(ctx context.Context, in input, e realtime.Event) error {
	list, err := p.h.Chat.Notes(ctx, p.asAgent(), in.ThreadID)
	if err != nil {
		return err
	}
	answerEvent(e, succeeded{"notes": list})
	return nil
}

func (p *peer) noteDelete(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.DeleteNote(ctx, p.asAgent(), in.ThreadID, in.ID))
}
