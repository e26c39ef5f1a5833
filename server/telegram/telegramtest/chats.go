package telegramtest

import (
	"sort"
	"time"
)

// The ids of the chat and the users that every Server has.
const (
	GroupID    int64 = -1002233445566 // the operators' chat, unless Options has another
	OperatorID int64 = 5550001
	StrangerID int64 = 5550666
)

// Operator returns the user who answers visitors, unless In has another.
func Operator() User {
	return User{ID: OperatorID, FirstName: "Ayşe", LanguageCode: "tr"}
}

// Stranger returns a Telegram user who found the bot but is no operator.
func Stranger() User {
	return User{ID: StrangerID, FirstName: "Mallory", LanguageCode: "en"}
}

// chat is a Chat with its messages and topics.
type chat struct {
	Chat
	last     int
	messages map[int]*Message
	topics   map[int]*Topic
}

func newChat(c Chat) *chat {
	return &chat{Chat: c, last: 1, messages: map[int]*Message{}, topics: map[int]*Topic{}}
}

// chat returns the chat with this id, creating it on first use. s.mu must be held.
func (s *Server) chat(id int64) *chat {
	if s.chats[id] == nil {
		c := Chat{ID: id, Type: "private", FirstName: s.users[id].FirstName}
		if id < 0 {
			c = Chat{ID: id, Type: "supergroup", Title: "Başka bir grup"}
		}
		s.chats[id] = newChat(c)
	}
	return s.chats[id]
}

// bot returns the sender of the bot's messages. s.mu must be held.
func (s *Server) bot() *User {
	bot := s.opts.Bot
	return &bot
}

// add adds a message to a chat under the next id. s.mu must be held.
func (s *Server) add(in *chat, m *Message) *Message {
	in.last++
	m.ID, m.Chat, m.Date = in.last, in.Chat, time.Now().Add(s.opts.ClockOffset).Unix()
	in.messages[m.ID] = m
	s.touch()
	return m
}

// place sets the fields that locate a message: in a topic, a message that replies to nothing else replies to the message that created
// the topic, and in a supergroup without topics a reply has the id of its thread's first message as its thread id.
func (in *chat) place(m *Message, topic int, replyTo *Message) {
	if replyTo != nil {
		copied := *replyTo
		copied.ReplyTo = nil
		m.ReplyTo = &copied
	}
	switch {
	case topic != 0:
		m.Topic, m.InTopic = topic, true
		if m.ReplyTo == nil && m.TopicCreated == nil {
			if first := in.messages[topic]; first != nil {
				copied := *first
				m.ReplyTo = &copied
			}
		}
	case replyTo != nil && in.Type == "supergroup" && !in.IsForum:
		m.Topic = replyTo.ID
		if replyTo.Topic != 0 {
			m.Topic = replyTo.Topic
		}
	}
}

// Messages returns every message in the operators' chat, oldest first.
func (s *Server) Messages() []Message { return s.MessagesIn(s.opts.Chat.ID) }

// MessagesIn returns every message in a chat, such as a person's with the bot, whose id is the person's.
func (s *Server) MessagesIn(id int64) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.chat(id)
	list := make([]Message, 0, len(in.messages))
	for _, m := range in.messages {
		list = append(list, *m)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

// Sent returns the messages that the bot sent to the operators' chat, oldest first, without service messages.
func (s *Server) Sent() []Message {
	var list []Message
	for _, m := range s.Messages() {
		if m.From != nil && m.From.IsBot && m.TopicCreated == nil && m.TopicEdited == nil && m.TopicClosed == nil && m.TopicReopened == nil {
			list = append(list, m)
		}
	}
	return list
}

// Topics returns every topic that was ever in the operators' chat, oldest first.
func (s *Server) Topics() []Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Topic
	for _, t := range s.chat(s.opts.Chat.ID).topics {
		list = append(list, *t)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}
