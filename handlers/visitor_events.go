package handlers

import (
	"context"
	"errors"

	"sohbet/assets"
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
	p.welcome(ctx, e, joined)
	return nil
}

func (p *peer) rejoin(ctx context.Context, visitor chat.Actor, in threadPayload, e realtime.Event) error {
	joined, err := p.h.Chat.Rejoin(ctx, visitor, in.ThreadID)
	switch {
	case err == nil:
		p.welcome(ctx, e, joined)
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
func (p *peer) welcome(ctx context.Context, e realtime.Event, j chat.Joined) {
	p.enter(j.ThreadID)
	j = p.h.Chat.Refresh(ctx, j)
	p.emit("joined", struct {
		ThreadID string `json:"thread_id"`
	}{j.ThreadID})
	team := p.h.Chat.Team()
	answerEvent(e, succeeded{
		"thread_id": j.ThreadID, "resumed": j.Resumed, "away": team.Away, "team": team,
		"team_read_id": j.TeamReadID, "team_received_id": j.TeamReceivedID, "status": j.Status, "rating": j.Rating, "rev": j.Rev, "build": assets.Build(),
	})
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

// done acknowledges an event without additional fields.
func done(e realtime.Event, err error) error {
	if err == nil {
		answerEvent(e, nil)
	}
	return err
}
