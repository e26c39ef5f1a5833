package telegramtest

import (
	"fmt"
	"strings"
	"time"
)

// In is a message that a person writes in Telegram. Set either Text or one of the files.
type In struct {
	Chat      int64    `json:"chat"`     // Options.Chat if zero
	Topic     int      `json:"topic"`    // 0 = none, or "General" in a forum
	ReplyTo   int      `json:"reply_to"` // a message's id, or 0
	From      *User    `json:"from"`     // Operator if nil
	Text      string   `json:"text"`
	Caption   string   `json:"caption"`
	Entities  []Entity `json:"entities"` // of the text or the caption
	Quote     *Quote   `json:"quote"`    // used with ReplyTo
	Photo     []byte   `json:"photo"`    // base64 in JSON, as the other files
	Voice     []byte   `json:"voice"`
	Audio     []byte   `json:"audio"`
	Document  []byte   `json:"document"`
	Video     []byte   `json:"video"`
	Animation []byte   `json:"animation"`
	VideoNote []byte   `json:"video_note"`
	Other     *Message `json:"other"` // its sticker, location, venue, contact, dice or poll is copied into the message
	As        *Chat    `json:"as"`    // the channel that is the message's sender
	Album     string   `json:"album"` // messages with the same value form an album
	Name      string   `json:"name"`  // of the file
	Type      string   `json:"type"`  // MIME type of the file, as the sender's device reports it
	Size      int64    `json:"size"`  // reported size of the file; its length if 0
}

// Say sends a message as a person and returns it as the bot will receive it.
func (s *Server) Say(in In) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Chat == 0 {
		in.Chat = s.opts.Chat.ID
	}
	where, from := s.chat(in.Chat), Operator()
	if in.From != nil {
		from = *in.From
		s.users[from.ID] = from
	}
	m := &Message{From: &from, Text: in.Text, Caption: in.Caption, Album: in.Album}
	m.mark(in.Entities)
	m.Quote = in.Quote
	if o := in.Other; o != nil {
		m.Sticker, m.Location, m.Venue, m.Contact, m.Dice, m.Poll = o.Sticker, o.Location, o.Venue, o.Contact, o.Dice, o.Poll
	}
	if in.As != nil {
		m.SenderChat, m.From = in.As, &User{ID: 136817688, IsBot: true, FirstName: "Channel", Username: "Channel_Bot"}
	}
	s.carry(m, in)
	if strings.HasPrefix(in.Text, "/") {
		command, _, _ := strings.Cut(in.Text, " ")
		m.Entities = []Entity{{Type: "bot_command", Length: units(command)}}
	}
	reply := where.messages[in.ReplyTo]
	if reply != nil && in.Topic == 0 && where.IsForum {
		in.Topic = reply.Topic
	}
	where.place(m, in.Topic, reply)
	s.add(where, m)
	if s.sees(where, m) {
		if s.enqueue("message", m) != 0 && where.ID == s.opts.Chat.ID {
			s.carriers[m.ID] = s.updates[len(s.updates)-1]
		}
	}
	return *m
}

// carry attaches the file of in to a message, if there is one.
func (s *Server) carry(m *Message, in In) {
	for _, f := range []struct {
		data                []byte
		folder, name, field string
	}{{in.Photo, "photos", "photo.jpg", "photo"}, {in.Voice, "voice", "voice.oga", "voice"}, {in.Audio, "music", "audio.mp3", "audio"}, {in.Document, "documents", "file.bin", "document"}, {in.Video, "videos", "video.mp4", "video"}, {in.Animation, "animations", "animation.mp4", "animation"}, {in.VideoNote, "video_notes", "", "video_note"}} {
		if f.data == nil {
			continue
		}
		name, size := in.Name, in.Size
		if name == "" {
			name = f.name
		}
		if size == 0 {
			size = int64(len(f.data))
		}
		kept := s.store(f.folder, name, in.Type, f.data, size)
		if in.Type == "" {
			kept.Type = sniff(f.data)
		}
		media := kept.Media
		switch f.field {
		case "photo":
			media.Width, media.Height = 640, 480
			small := media
			small.FileID, small.UniqueID, small.Width, small.Height = media.FileID+"s", media.UniqueID+"s", 160, 120
			m.Photo = []Media{small, media}
		case "voice":
			media.Name, media.Duration = "", 2
			m.Voice = &media
		case "audio":
			m.Audio = &media
		case "video":
			media.Width, media.Height, media.Duration = 640, 480, 3
			m.Video = &media
		case "animation":
			m.Animation, m.Document = &media, &media // Telegram sets both fields to the same file
		case "video_note":
			media.Name, media.Type, media.Duration = "", "", 3
			m.VideoNote = &media
		default:
			m.Document = &media
		}
	}
}

// sees reports whether the bot receives a message: in privacy mode only commands, replies to the bot and mentions of it. s.mu must be
// held.
func (s *Server) sees(in *chat, m *Message) bool {
	if in.ID == s.opts.Chat.ID && (s.opts.Absent || s.opts.Kicked) {
		return false
	}
	if in.Type == "private" || s.opts.Admin || s.opts.Bot.ReadsAll {
		return true
	}
	toBot := m.ReplyTo != nil && m.ReplyTo.From != nil && m.ReplyTo.From.ID == s.opts.Bot.ID && m.ReplyTo.TopicCreated == nil
	return strings.HasPrefix(m.Text, "/") || toBot || strings.Contains(m.Text+m.Caption, "@"+s.opts.Bot.Username)
}

// mark sets the entities of the message's text or caption.
func (m *Message) mark(entities []Entity) {
	if m.Text != "" {
		m.Entities = entities
	} else {
		m.CaptionEntities = entities
	}
}

// Edit changes the text, or the caption, of a message in the operators' chat.
func (s *Server) Edit(id int, text string, entities ...Entity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.chat(s.opts.Chat.ID)
	m := in.messages[id]
	if m == nil {
		return
	}
	if m.Text != "" {
		m.Text = text
	} else {
		m.Caption = text
	}
	m.mark(entities)
	m.EditDate = time.Now().Unix()
	if s.sees(in, m) {
		s.enqueue("edited_message", m)
	}
}

// React sets the operator's reactions to a message in the operators' chat; without emoji it removes them. Telegram sends reactions only
// to bots that are administrators and list message_reaction in allowed_updates.
func (s *Server) React(id int, emoji ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []map[string]string{}
	for _, e := range emoji {
		list = append(list, map[string]string{"type": "emoji", "emoji": e})
	}
	if s.opts.Admin {
		s.enqueue("message_reaction", map[string]any{"chat": s.opts.Chat, "message_id": id, "user": Operator(), "date": time.Now().Unix(),
			"old_reaction": []any{}, "new_reaction": list})
	}
}

// Press presses the button with this callback data under a message, and returns the id of the callback query. It fails the test if
// there is no such button.
func (s *Server) Press(id int, data string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.chat(s.opts.Chat.ID).messages[id]
	found := false
	if m != nil && m.ReplyMarkup != nil {
		for _, row := range m.ReplyMarkup.Keyboard {
			for _, b := range row {
				found = found || b.Data == data
			}
		}
	}
	if !found {
		s.complain("press", fmt.Sprintf("message %d has no button %q", id, data))
		return ""
	}
	query := fmt.Sprint(4000000000000000000 + len(s.presses))
	s.presses[query] = false
	s.enqueue("callback_query", map[string]any{"id": query, "from": Operator(), "message": m, "chat_instance": "-42", "data": data})
	return query
}

// Service adds the service message m to a topic, or to the chat itself if topic is 0.
func (s *Server) Service(topic int, m Message) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, by := s.chat(s.opts.Chat.ID), Operator()
	m.From = &by
	in.place(&m, topic, nil)
	s.add(in, &m)
	s.enqueue("message", &m)
	return m
}

// OpenTopic creates a topic as the operator and returns its id.
func (s *Server) OpenTopic(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, by := s.chat(s.opts.Chat.ID), Operator()
	t := s.newTopic(in, name, &by)
	s.enqueue("message", in.messages[t.ID])
	return t.ID
}

// CloseTopic closes a topic as the operator. The bot receives a service message, as it does for ReopenTopic and RenameTopic.
func (s *Server) CloseTopic(id int) {
	s.turn(id, func(t *Topic) { t.Closed = true }, Message{TopicClosed: &struct{}{}})
}

// ReopenTopic reopens a closed topic as the operator.
func (s *Server) ReopenTopic(id int) {
	s.turn(id, func(t *Topic) { t.Closed = false }, Message{TopicReopened: &struct{}{}})
}

// RenameTopic renames a topic as the operator.
func (s *Server) RenameTopic(id int, name string) {
	s.turn(id, func(t *Topic) { t.Name = name }, Message{TopicEdited: &TopicName{Name: name}})
}

func (s *Server) turn(id int, change func(*Topic), m Message) {
	s.mu.Lock()
	t := s.chat(s.opts.Chat.ID).topics[id]
	if t != nil {
		change(t)
	}
	s.mu.Unlock()
	if t != nil {
		s.Service(id, m)
	}
}

// DeleteTopic deletes a topic with all its messages. Telegram sends no update about it.
func (s *Server) DeleteTopic(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.chat(s.opts.Chat.ID)
	if t := in.topics[id]; t != nil {
		in.drop(t)
	}
	s.touch()
}

// DeleteMessage deletes a message. Telegram sends no update about it.
func (s *Server) DeleteMessage(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.chat(s.opts.Chat.ID).messages, id)
	s.touch()
}
