package chat

import "sohbet/models"

// Publisher sends events to sockets, including those of other processes. It must not block.
type Publisher interface {
	Publish(Publication)
}

// Topics pass notifications between processes.
type Topics interface {
	// Notify makes the other processes call the functions subscribed to a topic. It must not block.
	Notify(topic string)
	Subscribe(topic string, fn func())
}

// topicCleared is the topic of the deletion of all threads.
const topicCleared = "cleared"

// Notifier sends push notifications to agents. It must not block.
type Notifier interface {
	Notify(Notice)
}

// Notice is the content of a push notification: about a visitor's message or, with a Kind, what another agent did.
type Notice struct {
	ThreadID, DisplayName string
	Preview               string // the beginning of the text; "" if the message has none
	ContentType           string
	To                    models.AgentID // who is notified; 0 = all agents
	Kind                  string         // NotifiedMention, NotifiedAssigned, or ""
	By                    string         // name of the other agent
}

// Publication is the set of events caused by one operation.
//
// A socket that is in the thread's room and also an agent's receives both lists, but an event that is in both lists (the same pointer)
// only once.
type Publication struct {
	ThreadID string   // thread whose room receives Thread
	Thread   []*Event // events for the thread's room
	Side     Role     // Visitor or Agent: only sockets of that role in the room; empty: all
	Agents   []*Event // events for all agents
	Except   string   // id of the socket that caused the events; it receives none of them
	Volatile bool     // may be dropped for slow clients
	// Rev is the thread's revision after the change, 0 if unknown. State means that the events hold the state of the thread at Rev, either
	// for its room or for agents, and are dropped after newer ones.
	Rev   int64
	State bool
	Here  bool // only for sockets of this process; other processes publish their own

	// MessageID is set if the publication announces a message, and Follows is the id of the previous message in the thread, or -1 if
	// that is unknown and the message may have been announced before. Each socket receives a thread's messages in the order of their
	// ids, and each of them once, whichever processes accepted them.
	MessageID, Follows int64
	// Presence is the version of the change if the publication announces that the thread's visitor is online, negative for offline.
	// It is ignored where a newer change is known.
	Presence int64
	// Then is called once when the events have been queued for the sockets of this process; may be nil. It must not block.
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
	Rev         int64  `json:"rev"`
}

type newMessage struct {
	ThreadID    string `json:"thread_id"`
	DisplayName string `json:"display_name"`
	Preview     string `json:"message_preview"`
	Timestamp   Time   `json:"timestamp"`

	// The state of the thread after the message.
	Status       string `json:"status"`
	UnreadCount  int64  `json:"unread_count"`
	WaitingSince *Time  `json:"waiting_since"`
	Rev          int64  `json:"rev"`
}

type seen struct {
	ThreadID      string `json:"thread_id"`
	DisplayName   string `json:"display_name"`
	LastSeen      Time   `json:"last_seen"`
	OnlineVersion int64  `json:"online_version,omitempty"` // 0 in heartbeats
}

type typing struct {
	ThreadID    string `json:"thread_id"`
	SenderType  Role   `json:"sender_type"`
	DisplayName string `json:"display_name"`
	Typing      bool   `json:"typing"`
}

type agentTyping struct {
	ThreadID string          `json:"thread_id"`
	Agent    *AgentReference `json:"agent"`
	Typing   bool            `json:"typing"`
	Note     bool            `json:"note"`
}

type readMark struct {
	ThreadID string `json:"thread_id"`
	LastID   int64  `json:"last_id"`
	Reader   Role   `json:"reader"`
	Rev      int64  `json:"rev"`
}

type deliveredMark struct {
	ThreadID string `json:"thread_id"`
	LastID   int64  `json:"last_id"`
	By       string `json:"by"` // models.Visitor or models.Admin: the side whose client received it
	Rev      int64  `json:"rev"`
}

type cleared struct {
	ThreadID string `json:"thread_id"`
	Kept     bool   `json:"kept,omitempty"`    // only the messages were deleted, the thread still exists
	LastID   int64  `json:"last_id,omitempty"` // the newest message that was deleted
	Rev      int64  `json:"rev,omitempty"`

	By *AgentReference `json:"by,omitempty"` // only to agents
}

type deleted struct {
	ThreadID string  `json:"thread_id"`
	IDs      []int64 `json:"ids"`
	Rev      int64   `json:"rev"`
}

// announcement returns the events for a stored message, under the current event name and the older one. shown is m in wire format, t the
// thread after the message.
func announcement(m models.Message, follows int64, shown Message, t models.Thread) Publication {
	message := &Event{"message", shown}
	p := Publication{ThreadID: m.ThreadID, MessageID: m.ID, Follows: follows}
	if m.SenderType == string(Visitor) {
		p.Thread = []*Event{message}
		p.Agents = []*Event{message, {"message_from_visitor", message.Payload}, {"new_message_notification", newMessage{
			ThreadID: m.ThreadID, DisplayName: t.DisplayName, Preview: preview(m), Timestamp: Time(m.CreatedAt),
			Status: t.Status, UnreadCount: t.UnreadCount, WaitingSince: optional(t.WaitingSince), Rev: t.Rev,
		}}}
	} else {
		p.Thread = []*Event{message, {"message_from_admin", message.Payload}}
		p.Agents = []*Event{message, {"message_from_telegram", message.Payload}}
	}
	return p
}

func (s *Service) announceThread(t models.Thread, except string) {
	s.publisher.Publish(Publication{Except: except, Agents: []*Event{{"thread_created", threadCreated{
		ID: t.ID, DisplayName: t.DisplayName, CreatedAt: Time(t.CreatedAt), Status: t.Status, Rev: t.Rev,
	}}}})
}

// otherSide returns the role that receives events caused by role in a thread.
func otherSide(role Role) Role {
	if role == Visitor {
		return Agent
	}
	return Visitor
}

// publishToOtherSide sends an event of a visitor to all agents and to the agents in the thread's room, and an event of an agent to the
// visitor.
func (s *Service) publishToOtherSide(a Actor, threadID string, e *Event, volatile bool) {
	p := Publication{ThreadID: threadID, Thread: []*Event{e}, Side: otherSide(a.Role), Except: a.SocketID, Volatile: volatile}
	if a.Role == Visitor {
		p.Agents = p.Thread
	}
	s.publisher.Publish(p)
}

// publishLocally sends an event to every agent and every visitor at this process.
func (s *Service) publishLocally(e *Event) {
	events := []*Event{e}
	s.publisher.Publish(Publication{Agents: events, Here: true})
	for _, id := range s.presence.all(false) {
		s.publisher.Publish(Publication{ThreadID: id, Thread: events, Side: Visitor, Here: true})
	}
}

// Resync asks all clients at this process to refetch their state, because events from other processes may have been lost, such as a
// closed or read conversation or an edited message. Messages are not affected: lost ones are fetched from the database.
func (s *Service) Resync() { s.publishLocally(&Event{"resync", struct{}{}}) }
