package telegramtest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// colors are the icon colors that the API accepts; 0 means none was given.
var colors = map[int64]bool{0: true, 7322096: true, 16766590: true, 13338331: true, 9367192: true, 16749490: true, 16478047: true}

// forum returns the forum that a call refers to.
func (s *Server) forum(c *Call) (*chat, *refusal) {
	in, no := s.reach(c)
	if no != nil {
		return nil, no
	}
	if !in.IsForum {
		return nil, bad("the chat is not a forum")
	}
	return in, nil
}

// topic returns the topic that a call refers to, if the bot may manage it.
func (s *Server) topic(c *Call) (*chat, *Topic, *refusal) {
	in, no := s.forum(c)
	if no != nil {
		return nil, nil, no
	}
	id, no := c.number("message_thread_id")
	if no != nil {
		return nil, nil, no
	}
	t := in.topics[int(id)]
	switch {
	case t == nil || t.Deleted:
		return nil, nil, bad("TOPIC_ID_INVALID")
	case !s.opts.ManageTopics && !t.ByBot:
		return nil, nil, bad("not enough rights to manage topics")
	}
	return in, t, nil
}

func topicName(name string) *refusal {
	blank := !strings.ContainsFunc(name, func(r rune) bool { // as Telegram trims titles
		return !unicode.In(r, unicode.M, unicode.Z, unicode.C, unicode.White_Space, unicode.Other_Default_Ignorable_Code_Point) && r != '\u2800'
	})
	switch n := utf8.RuneCountInString(name); {
	case blank:
		return bad("TOPIC_TITLE_EMPTY")
	case n > 128:
		return bad("TOPIC_TITLE_INVALID: %d characters, at most 128", n)
	}
	return nil
}

func (s *Server) createForumTopic(c *Call) (any, *refusal) {
	in, no := s.forum(c)
	if no != nil {
		return nil, no
	}
	color, no := c.number("icon_color")
	switch {
	case no != nil:
		return nil, no
	case !s.opts.Admin || !s.opts.ManageTopics:
		return nil, bad("not enough rights to create a topic")
	case !colors[color]:
		return nil, bad("TOPIC_ICON_COLOR_INVALID")
	}
	name := c.Params["name"]
	if no := topicName(name); no != nil {
		return nil, no
	}
	if color == 0 {
		color = 7322096
	}
	t := s.newTopic(in, name, s.bot())
	return map[string]any{"message_thread_id": t.ID, "name": t.Name, "icon_color": color}, nil
}

// newTopic creates a topic and its first message, a service message. s.mu must be held.
func (s *Server) newTopic(in *chat, name string, by *User) *Topic {
	m := &Message{From: by, TopicCreated: &TopicName{Name: name, Color: 7322096}}
	s.add(in, m)
	m.Topic, m.InTopic = m.ID, true
	t := &Topic{ID: m.ID, Name: name, ByBot: by.IsBot}
	in.topics[t.ID] = t
	return t
}

func (s *Server) editForumTopic(c *Call) (any, *refusal) {
	in, t, no := s.topic(c)
	if no != nil {
		return nil, no
	}
	name, given := c.Params["name"]
	if !given || name == "" || name == t.Name {
		return nil, bad("TOPIC_NOT_MODIFIED")
	}
	if no := topicName(name); no != nil {
		return nil, no
	}
	t.Name = name
	s.serve(in, t, s.bot(), &Message{TopicEdited: &TopicName{Name: name}})
	return true, nil
}

func (s *Server) closeForumTopic(c *Call) (any, *refusal) {
	in, t, no := s.topic(c)
	if no != nil {
		return nil, no
	}
	if t.Closed {
		return nil, bad("TOPIC_NOT_MODIFIED")
	}
	t.Closed = true
	s.serve(in, t, s.bot(), &Message{TopicClosed: &struct{}{}})
	return true, nil
}

func (s *Server) reopenForumTopic(c *Call) (any, *refusal) {
	in, t, no := s.topic(c)
	if no != nil {
		return nil, no
	}
	if !t.Closed {
		return nil, bad("TOPIC_NOT_MODIFIED")
	}
	t.Closed = false
	s.serve(in, t, s.bot(), &Message{TopicReopened: &struct{}{}})
	return true, nil
}

// mayDelete reports whether the bot has the right to delete messages. s.mu must be held.
func (s *Server) mayDelete() bool { return s.opts.Admin && s.opts.ManageTopics && !s.opts.NoDelete }

// deleteForumTopic requires can_delete_messages, also for topics that the bot created, but not can_manage_topics.
func (s *Server) deleteForumTopic(c *Call) (any, *refusal) {
	in, no := s.forum(c)
	if no != nil {
		return nil, no
	}
	id, no := c.number("message_thread_id")
	if no != nil {
		return nil, no
	}
	t := in.topics[int(id)]
	switch {
	case id <= 0:
		return nil, bad("invalid forum topic identifier specified")
	case !s.mayDelete():
		return nil, bad("not enough rights to delete the topic")
	case t == nil || t.Deleted:
		return nil, bad("TOPIC_ID_INVALID")
	}
	in.drop(t)
	s.touch()
	return true, nil
}

// drop deletes a topic with all its messages.
func (in *chat) drop(t *Topic) {
	t.Deleted = true
	for id, m := range in.messages {
		if m.Topic == t.ID {
			delete(in.messages, id)
		}
	}
}

// serve adds a service message to a topic. s.mu must be held.
func (s *Server) serve(in *chat, t *Topic, by *User, m *Message) *Message {
	m.From = by
	in.place(m, t.ID, nil)
	return s.add(in, m)
}
