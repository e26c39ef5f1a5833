package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"sohbet/assets"
	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/realtime"
)

// input is the payload of all events; each event reads its own fields.
type input struct {
	ThreadID    string `json:"thread_id"`
	DisplayName string `json:"display_name"`
	PhoneNumber scalar `json:"phone_number"`
	PageURL     string `json:"page_url"`
	Locale      string `json:"locale"`
	Text        string `json:"text"`
	ContentText string `json:"content_text"`
	Type        string `json:"type"`
	ContentType string `json:"content_type"`
	FileURL     string `json:"file_url"`
	ClientID    string `json:"client_id"`
	Typing      *bool  `json:"typing"`
	BeforeID    int64  `json:"before_id"`
	AfterID     *int64 `json:"after_id"` // pointer, because 0 means "after none", which differs from absent
	Limit       int    `json:"limit"`
	LastID      int64  `json:"last_id"`
	Address     bool   `json:"address"`
	Status      string `json:"status"`
	Away        *bool  `json:"away"`
	ID          int64  `json:"id"`
	PageTitle   string `json:"page_title"`
	Email       string `json:"email"`
	Score       int64  `json:"score"`
	Comment     string `json:"comment"`
	Visible     *bool  `json:"visible"`
	Identity    *struct {
		ID   scalar `json:"id"`
		Hash string `json:"hash"`
	} `json:"identity"`
}

// scalar is a JSON string or number; sites send ids and phone numbers as either.
type scalar string

// UnmarshalJSON implements [json.Unmarshaler].
func (w *scalar) UnmarshalJSON(data []byte) error {
	var number json.Number // json.Number accepts numbers, and strings that contain one
	if len(data) > 0 && data[0] != '"' && json.Unmarshal(data, &number) == nil {
		*w = scalar(number)
		return nil
	}
	return json.Unmarshal(data, (*string)(w))
}

// decodeInput decodes the event's payload. A missing payload is an empty one, as for admin_join.
func decodeInput(e realtime.Event) (input, error) {
	var in input
	if len(e.Args) == 0 {
		return in, nil
	}
	raw := e.Arg(0)
	if raw == nil {
		return in, &chat.Error{Code: chat.CodeValidation, Message: "Attachments are not taken here; upload the file first.", Status: http.StatusBadRequest}
	}
	err := json.Unmarshal(raw, &in)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return in, nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return in, &chat.Error{Code: chat.CodeValidation, Field: wrong.Field, Status: http.StatusBadRequest,
			Message: wrong.Field + " must not be a " + wrong.Value + "."}
	}
	return in, &chat.Error{Code: chat.CodeValidation, Message: "The event takes one JSON object.", Status: http.StatusBadRequest}
}

// eventHandler executes an event and acknowledges it, or returns an error.
type eventHandler = func(*peer, context.Context, input, realtime.Event) error

// events are docs/protocol.md, "Client events".
var events = map[string]eventHandler{
	"join":                 (*peer).join,
	"rejoin":               (*peer).rejoin,
	"message":              (*peer).message,
	"message_to_admin":     (*peer).messageToAdmin,
	"message_from_visitor": (*peer).messageToAdmin,
	"message_to_visitor":   (*peer).messageToVisitor,
	"typing":               (*peer).typing,
	"history":              (*peer).history,
	"read":                 (*peer).read,
	"heartbeat":            (*peer).heartbeat,
	"join_thread":          (*peer).joinThread,
	"leave_thread":         (*peer).leaveThread,
	"admin_join":           (*peer).adminJoin,
	"block_thread":         (*peer).blockThread,
	"unblock_thread":       (*peer).unblockThread,
	"delivered":            (*peer).delivered,
	"set_status":           (*peer).setStatus,
	"set_away":             (*peer).setAway,
	"edit_message":         (*peer).editMessage,
	"page":                 (*peer).page,
	"contact":              (*peer).contact,
	"rate":                 (*peer).rate,
	"facts":                (*peer).facts,
	"presence":             (*peer).presence,
	"note":                 (*peer).note,
	"notes":                (*peer).notes,
	"note_delete":          (*peer).noteDelete,
}

// ignore handles unknown events.
func (*peer) ignore(context.Context, input, realtime.Event) error { return nil }

func (p *peer) join(ctx context.Context, in input, e realtime.Event) error {
	request := chat.JoinRequest{ThreadID: in.ThreadID, Profile: chat.Profile{
		DisplayName: in.DisplayName, PhoneNumber: string(in.PhoneNumber), PageURL: in.PageURL, PageTitle: in.PageTitle, Locale: in.Locale, Email: in.Email,
	}}
	if in.Identity != nil {
		request.Identity = &chat.SignedIdentity{ID: string(in.Identity.ID), Hash: in.Identity.Hash}
	}
	joined, err := p.h.Chat.Join(ctx, p.asVisitor(), request)
	if err != nil {
		return err
	}
	p.welcome(e, joined)
	return nil
}

func (p *peer) rejoin(ctx context.Context, in input, e realtime.Event) error {
	joined, err := p.h.Chat.Rejoin(ctx, p.asVisitor(), in.ThreadID)
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

func (p *peer) message(ctx context.Context, in input, e realtime.Event) error {
	actor := p.asAgent()
	if p.threads.Has(in.ThreadID) || in.ThreadID == "" {
		actor = p.asVisitor()
	}
	return p.post(ctx, actor, in, e)
}

func (p *peer) messageToAdmin(ctx context.Context, in input, e realtime.Event) error {
	return p.post(ctx, p.asVisitor(), in, e)
}

func (p *peer) messageToVisitor(ctx context.Context, in input, e realtime.Event) error {
	actor, err := p.agent()
	if err != nil {
		return err
	}
	return p.post(ctx, actor, in, e)
}

// post passes a message to the chat service and acknowledges it once it is durable. The acknowledgements of one socket are in the order
// of its messages.
func (p *peer) post(ctx context.Context, actor chat.Actor, in input, e realtime.Event) error {
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

func (p *peer) typing(ctx context.Context, in input, e realtime.Event) error {
	on := in.Typing == nil || *in.Typing
	return done(e, p.h.Chat.Typing(ctx, p.in(in.ThreadID), in.ThreadID, on))
}

func (p *peer) read(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.Read(ctx, p.in(in.ThreadID), in.ThreadID, in.LastID))
}

func (p *peer) heartbeat(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.Heartbeat(ctx, p.asVisitor(), in.ThreadID))
}

func (p *peer) history(ctx context.Context, in input, e realtime.Event) error {
	if err := p.h.reads.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.h.reads.Release(1)
	var messages []chat.Message
	var more bool
	var err error
	actor, q := p.in(in.ThreadID), models.MessageQuery{BeforeID: in.BeforeID, Limit: in.Limit}
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

// agent is like asAgent, for events that only agents may send.
func (p *peer) agent() (chat.Actor, error) {
	actor := p.asAgent()
	if actor.Role != chat.Agent {
		return actor, &chat.Error{Code: chat.CodeUnauthorized, Message: "Please sign in as an agent.", Status: http.StatusForbidden}
	}
	return actor, nil
}

func (p *peer) adminJoin(ctx context.Context, _ input, e realtime.Event) error {
	if _, err := p.agent(); err != nil {
		return err
	}
	p.socket.SetSide(agentSide)
	p.socket.Join(agentsRoom)
	team := p.h.Chat.Team()
	answerEvent(e, succeeded{"away": team.Away, "team": team, "storage": p.h.Chat.Storage(ctx), "build": assets.Build()})
	return nil
}

func (p *peer) joinThread(ctx context.Context, in input, e realtime.Event) error {
	if err := p.h.Chat.Watch(ctx, p.asAgent(), in.ThreadID); err != nil {
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
	p.socket.SetSide(agentSide)
	p.socket.Join(threadRoom(threadID))
	if !slices.Contains(p.watching, threadID) {
		p.watching = append(p.watching, threadID)
	}
}

func (p *peer) leaveThread(_ context.Context, in input, e realtime.Event) error {
	if _, err := p.agent(); err != nil {
		return err
	}
	p.mu.Lock()
	p.watching = slices.DeleteFunc(p.watching, func(id string) bool { return id == in.ThreadID })
	p.mu.Unlock()
	p.socket.Leave(threadRoom(in.ThreadID))
	answerEvent(e, nil)
	return nil
}

func (p *peer) blockThread(ctx context.Context, in input, e realtime.Event) error {
	b, err := p.h.Chat.BlockVisitor(ctx, p.asAgent(), in.ThreadID, in.Address)
	if err != nil {
		return err
	}
	answerEvent(e, succeeded{"block": b})
	return nil
}

func (p *peer) unblockThread(ctx context.Context, in input, e realtime.Event) error {
	return done(e, p.h.Chat.Unblock(ctx, p.asAgent(), in.ThreadID))
}

// done acknowledges an event without additional fields.
func done(e realtime.Event, err error) error {
	if err == nil {
		answerEvent(e, nil)
	}
	return err
}
