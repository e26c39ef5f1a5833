package chat

import "sohbet/models"

// Publisher carries events to sockets, those of other processes too. It must not block.
type Publisher interface {
	Publish(Publication)
}

// Notifier tells agents who look elsewhere of a visitor's message. It must not block.
type Notifier interface {
	Notify(Notice)
}

// Notice is what a visitor's message looks like from afar.
type Notice struct {
	ThreadID, DisplayName string
	Preview               string // the beginning of its text; "" = it has none
	ContentType           string
}

// Publication is what is to be heard of one happening.
//
// A socket that is in the thread's room and among the agents hears both lists, and an event that stands in both
// (the same pointer) once.
type Publication struct {
	ThreadID string   // whose room hears Thread
	Thread   []*Event // to the thread's room
	Side     Role     // Visitor or Agent: only that side of the room; empty: both
	Agents   []*Event // to all agents
	Except   string   // the socket that caused it, which hears nothing
	Volatile bool     // may be lost on the way to a client that lags
	Here     bool     // other processes find out by themselves

	// MessageID is set when a message is told of, and Follows to the id of the thread's message before it, or to -1 if
	// that is not known and it may have been told before. Sockets hear of a
	// thread's messages in the order of their ids, and of each once, whatever processes they were accepted by.
	MessageID, Follows int64
	// Then runs once when the sockets of this process have been told; nil for nothing. It must not block.
	Then func()
}

// Event is one event on the wire (docs/protocol.md, "Server events").
type Event struct {
	Name    string
	Payload any
}

type threadCreated struct {
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   Time   `json:"created_at"`
	Status      string `json:"status"`
}

type newMessage struct {
	ThreadID    string `json:"thread_id"`
	DisplayName string `json:"display_name"`
	Preview     string `json:"message_preview"`
	Timestamp   Time   `json:"timestamp"`
}

type seen struct {
	ThreadID    string `json:"thread_id"`
	DisplayName string `json:"display_name"`
	LastSeen    Time   `json:"last_seen"`
}

type typing struct {
	ThreadID    string `json:"thread_id"`
	SenderType  Role   `json:"sender_type"`
	DisplayName string `json:"display_name"`
	Typing      bool   `json:"typing"`
}

type readMark struct {
	ThreadID string `json:"thread_id"`
	LastID   int64  `json:"last_id"`
	Reader   Role   `json:"reader"`
}

type deliveredMark struct {
	ThreadID string `json:"thread_id"`
	LastID   int64  `json:"last_id"`
	By       string `json:"by"` // models.Visitor or models.Admin: whose client has it
}

type cleared struct {
	ThreadID string `json:"thread_id"`
	Kept     bool   `json:"kept,omitempty"` // the thread itself is still there, without messages
}

type deleted struct {
	ThreadID string  `json:"thread_id"`
	IDs      []int64 `json:"ids"`
}

// announcement tells everybody of a stored message, under its name of today and the older one. shown is m on the wire, name
// the visitor's.
func announcement(m models.Message, follows int64, shown Message, name string) Publication {
	message := &Event{"message", shown}
	p := Publication{ThreadID: m.ThreadID, MessageID: m.ID, Follows: follows}
	if m.SenderType == string(Visitor) {
		p.Thread = []*Event{message}
		p.Agents = []*Event{message, {"message_from_visitor", message.Payload}, {"new_message_notification", newMessage{
			ThreadID: m.ThreadID, DisplayName: name, Preview: preview(m), Timestamp: Time(m.CreatedAt),
		}}}
	} else {
		p.Thread = []*Event{message, {"message_from_admin", message.Payload}}
		p.Agents = []*Event{message, {"message_from_telegram", message.Payload}}
	}
	return p
}

func (s *Service) announceThread(t models.Thread, except string) {
	s.publisher.Publish(Publication{Except: except, Agents: []*Event{{"thread_created", threadCreated{
		ID: t.ID, DisplayName: t.DisplayName, CreatedAt: Time(t.CreatedAt), Status: t.Status,
	}}}})
}

// otherSide is who hears what role does in a thread.
func otherSide(role Role) Role {
	if role == Visitor {
		return Agent
	}
	return Visitor
}

// tellOtherSide publishes to the visitor of a thread, or to all agents and those who watch it.
func (s *Service) tellOtherSide(a Actor, threadID string, e *Event, volatile bool) {
	p := Publication{ThreadID: threadID, Thread: []*Event{e}, Side: otherSide(a.Role), Except: a.SocketID, Volatile: volatile}
	if a.Role == Visitor {
		p.Agents = p.Thread
	}
	s.publisher.Publish(p)
}
