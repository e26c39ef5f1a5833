package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"

	"sohbet/server/apperr"
	"sohbet/server/chat"
	"sohbet/server/realtime"
)

// clientEvents are all events that clients send (docs/protocol.md, "Client events"): who may send them, their limit, payload and
// handler.
var clientEvents = map[string]clientEvent{
	// Visitors' pages.
	"join":                 on(Visitors, perEvent, (*peer).join),
	"rejoin":               on(Visitors, perEvent, (*peer).rejoin),
	"message_to_admin":     on(Visitors, perEvent, (*peer).post), // the chat limits messages
	"message_from_visitor": on(Visitors, perEvent, (*peer).post),
	"heartbeat":            on(Visitors, perEvent, (*peer).heartbeat),
	"page":                 on(Visitors, perEvent, (*peer).page),
	"contact":              on(Visitors, perEvent, (*peer).contact),
	"rate":                 on(Visitors, perEvent, (*peer).rate),

	// Visitors' pages and consoles.
	"message":   on(Both, perEvent, (*peer).post),
	"typing":    on(Both, perEvent, (*peer).typing),
	"history":   on(Both, historyRead, (*peer).history),
	"read":      on(Both, perEvent, (*peer).read),
	"delivered": on(Both, perEvent, (*peer).delivered),

	// Consoles.
	"admin_join":         on(Agents, perEvent, (*peer).adminJoin),
	"join_thread":        on(Agents, perEvent, (*peer).joinThread),
	"leave_thread":       on(Agents, perEvent, (*peer).leaveThread),
	"presence":           on(Agents, perEvent, (*peer).presence),
	"facts":              on(Agents, perEvent, (*peer).visitorDetails),
	"message_to_visitor": on(Agents, perEvent, (*peer).post),
	"edit_message":       on(Agents, perEvent, (*peer).editMessage),
	"set_status":         on(Agents, perEvent, (*peer).setStatus),
	"assign":             on(Agents, perEvent, (*peer).assign),
	"set_away":           on(Agents, perEvent, (*peer).setAway),
	"block_thread":       on(Agents, perEvent, (*peer).blockThread),
	"unblock_thread":     on(Agents, perEvent, (*peer).unblockThread),
	"note":               on(Agents, perEvent, (*peer).note),
	"notes":              on(Agents, perEvent, (*peer).notes),
	"note_delete":        on(Agents, perEvent, (*peer).noteDelete),
}

// Senders are those who may send an event. The handler gets the actor that follows from it.
type Senders int

// Who may send an event.
const (
	Visitors Senders = iota // any socket, as a visitor; the chat refuses threads that it did not join
	Agents                  // sockets with a valid session
	Both                    // as the visitor of a thread that the socket joined, otherwise as an agent
)

// limit is what an event costs. Every event takes one from the budgets of its connection and its address.
type limit int

const (
	perEvent    limit = iota
	historyRead       // and one of the concurrent reads, and more of the budgets by the size of the result
)

// clientEvent is a row of clientEvents.
type clientEvent struct {
	senders Senders
	limit   limit
	payload any // the zero payload
	handle  func(*peer, context.Context, realtime.Event) error
}

// on makes a row from a handler, which acknowledges the event itself or returns an error.
func on[T payload](senders Senders, limit limit, handler func(*peer, context.Context, chat.Actor, T, realtime.Event) error) clientEvent {
	var zero T
	return clientEvent{senders, limit, zero, func(p *peer, ctx context.Context, e realtime.Event) error {
		in, err := decodePayload[T](e)
		if err != nil {
			return err
		}
		actor, err := p.actor(senders, in.thread())
		if err != nil {
			return err
		}
		if limit == historyRead {
			if err := p.h.reads.Acquire(ctx, 1); err != nil {
				return err
			}
			defer p.h.reads.Release(1)
		}
		return handler(p, ctx, actor, in, e)
	}}
}

// actor returns the actor of an event: the visitor or the agent, by the senders that its row allows.
func (p *peer) actor(senders Senders, threadID string) (chat.Actor, error) {
	if senders == Visitors || senders == Both && p.threads.Has(threadID) {
		return p.asVisitor(), nil
	}
	actor := p.asAgent()
	if senders == Agents && actor.Role != chat.Agent {
		return actor, apperr.Unauthorized("Please sign in as an agent.")
	}
	return actor, nil
}

// decodePayload decodes an event's payload. A missing one is the zero payload, as for admin_join.
func decodePayload[T any](e realtime.Event) (in T, err error) {
	if len(e.Args) == 0 {
		return in, nil
	}
	raw := e.Arg(0)
	if raw == nil {
		return in, apperr.Invalid("", "Attachments are not taken here; upload the file first.")
	}
	faults, raw := jsonFaults(raw)
	if err := json.Unmarshal(raw, &in); err != nil {
		return in, wrongType(err, "The event takes one JSON object.")
	}
	for _, f := range faults {
		if lenient, ok := any(in).(lenientPayload); !ok || !lenient.cleans(f.field) {
			return in, f.err()
		}
	}
	return in, nil
}

// wrongType turns an error of encoding/json into a refusal that names the field, if it is about one.
func wrongType(err error, otherwise string) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &wrong) || wrong.Field == "":
		return apperr.Invalid("", otherwise)
	case wrong.Type == reflect.TypeFor[storedID]():
		return apperr.Invalid(wrong.Field, wrong.Field+" must be a whole number from 0 to 9007199254740991.")
	}
	return apperr.Invalid(wrong.Field, wrong.Field+" must not be a "+wrong.Value+".")
}

// ClientEvents returns the names of the events that the senders may send, sorted.
func ClientEvents(senders Senders) []string {
	names := slices.Sorted(maps.Keys(clientEvents))
	return slices.DeleteFunc(names, func(name string) bool { return clientEvents[name].senders != senders })
}
