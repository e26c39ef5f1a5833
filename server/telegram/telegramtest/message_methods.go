package telegramtest

import (
	"encoding/json"
	"strings"
	"time"
)

const (
	maxText     = 4096 // UTF-16 code units, after the markup is parsed
	maxCaption  = 1024
	maxCallback = 64 // bytes
)

// address returns the chat that a call sends to and a message with its topic and the message it replies to.
func (s *Server) address(c *Call) (*chat, *Message, *refusal) {
	in, no := s.reach(c)
	if no != nil {
		return nil, nil, no
	}
	m := &Message{From: s.bot()}
	topic, no := c.number("message_thread_id")
	if no != nil {
		return nil, nil, no
	}
	if no := s.enter(in, int(topic)); no != nil {
		return nil, nil, no
	}
	reply, no := in.replied(c)
	if no != nil {
		return nil, nil, no
	}
	if reply != nil && in.IsForum {
		switch {
		case topic == 0: // a reply goes into the topic of the message it replies to
			topic = int64(reply.Topic)
			if no := s.enter(in, int(topic)); no != nil {
				return nil, nil, no
			}
		case int(topic) != reply.Topic && int(topic) != reply.ID:
			return nil, nil, bad("message to be replied not found")
		}
	}
	in.place(m, int(topic), reply)
	return in, m, nil
}

// enter refuses if the bot must not write into a topic; 0 is the chat itself.
func (s *Server) enter(in *chat, topic int) *refusal {
	if topic == 0 {
		return nil
	}
	t := in.topics[topic]
	switch {
	case t == nil || t.Deleted || !in.IsForum:
		return bad("message thread not found")
	case t.Closed && (!s.opts.WriteInClosed || !s.opts.ManageTopics):
		return bad("TOPIC_CLOSED")
	}
	return nil
}

// replied returns the message that a call replies to, nil if none.
func (in *chat) replied(c *Call) (*Message, *refusal) {
	var to struct {
		ID      int  `json:"message_id"`
		Without bool `json:"allow_sending_without_reply"`
	}
	if no := c.decode("reply_parameters", &to); no != nil {
		return nil, no
	}
	if c.Params["reply_parameters"] == "" {
		id, no := c.number("reply_to_message_id")
		if no != nil {
			return nil, no
		}
		to.ID, to.Without = int(id), c.flag("allow_sending_without_reply")
	}
	if to.ID == 0 {
		return nil, nil
	}
	if m := in.messages[to.ID]; m != nil {
		return m, nil
	}
	if to.Without {
		return nil, nil
	}
	return nil, bad("message to be replied not found")
}

func (s *Server) sendMessage(c *Call) (any, *refusal) {
	text, entities, no := c.text("text", "entities")
	switch {
	case no != nil:
		return nil, no
	case text == "":
		return nil, bad("message text is empty")
	case units(text) > maxText:
		return nil, bad("message is too long")
	}
	markup, no := c.markup()
	if no != nil {
		return nil, no
	}
	in, m, no := s.address(c)
	if no != nil {
		return nil, no
	}
	m.Text, m.Entities, m.ReplyMarkup = text, entities, markup
	return s.add(in, m), nil
}

// text returns a text parameter without its markup and with its entities. It trims surrounding white space, as Telegram does.
func (c *Call) text(name, list string) (string, []Entity, *refusal) {
	raw := c.Params[name]
	var entities []Entity
	switch c.Params["parse_mode"] {
	case "":
		if no := c.decode(list, &entities); no != nil {
			return "", nil, no
		}
		for _, e := range entities {
			if e.Offset < 0 || e.Length <= 0 || e.Offset+e.Length > units(raw) {
				return "", nil, bad("ENTITY_BOUNDS_INVALID")
			}
		}
	case "HTML", "html":
		var no *refusal
		if raw, entities, no = parseHTML(raw); no != nil {
			return "", nil, no
		}
	case "Markdown", "MarkdownV2":
		return "", nil, bad("telegramtest reads no Markdown; send HTML")
	default:
		return "", nil, bad("unsupported parse_mode")
	}
	text := strings.TrimLeft(raw, " \n\t\r")
	gone := units(raw) - units(text)
	text = strings.TrimRight(text, " \n\t\r")
	var kept []Entity
	for _, e := range entities {
		if e.Offset < gone {
			e.Offset, e.Length = gone, e.Length-(gone-e.Offset)
		}
		e.Offset -= gone
		e.Length = min(e.Length, units(text)-e.Offset)
		if e.Length > 0 {
			kept = append(kept, e)
		}
	}
	return text, kept, nil
}

// markup parses the inline keyboard of a call.
func (c *Call) markup() (*Markup, *refusal) {
	if c.Params["reply_markup"] == "" {
		return nil, nil
	}
	var m Markup
	if no := c.decode("reply_markup", &m); no != nil {
		return nil, no
	}
	for _, row := range m.Keyboard {
		for _, b := range row {
			switch {
			case strings.TrimSpace(b.Text) == "":
				return nil, bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
			case len(b.Data) > maxCallback:
				return nil, bad("BUTTON_DATA_INVALID")
			case b.Data == "" && b.URL == "":
				return nil, bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
			case b.URL != "" && (!strings.Contains(b.URL, ".") || strings.Contains(b.URL, "//localhost") || strings.Contains(b.URL, "//127.0.0.1")):
				return nil, bad("inline keyboard button URL '%s' is invalid: Wrong HTTP URL", b.URL)
			}
		}
	}
	if len(m.Keyboard) == 0 {
		return nil, nil
	}
	return &m, nil
}

// own returns the message that a call changes, which must be the bot's own.
func (s *Server) own(c *Call, verb string) (*Message, *refusal) {
	in, no := s.reach(c)
	if no != nil {
		return nil, no
	}
	id, no := c.number("message_id")
	if no != nil {
		return nil, no
	}
	if id == 0 {
		return nil, bad("message identifier is not specified")
	}
	m := in.messages[int(id)]
	switch {
	case m == nil:
		return nil, bad("message to %s not found", verb)
	case m.From == nil || m.From.ID != s.opts.Bot.ID:
		return nil, bad("message can't be %sed", verb)
	}
	return m, nil
}

func (s *Server) editMessageText(c *Call) (any, *refusal) {
	m, no := s.own(c, "edit")
	if no != nil {
		return nil, no
	}
	text, entities, no := c.text("text", "entities")
	switch {
	case no != nil:
		return nil, no
	case text == "":
		return nil, bad("message text is empty")
	case units(text) > maxText:
		return nil, bad("MESSAGE_TOO_LONG")
	case m.Text == "":
		return nil, bad("there is no text in the message to edit")
	}
	markup, no := c.markup()
	if no != nil {
		return nil, no
	}
	if text == m.Text && same(entities, m.Entities) && same(markup, m.ReplyMarkup) {
		return nil, unchanged()
	}
	m.Text, m.Entities, m.ReplyMarkup, m.EditDate = text, entities, markup, time.Now().Unix()
	s.touch()
	return m, nil
}

func (s *Server) editMessageCaption(c *Call) (any, *refusal) {
	m, no := s.own(c, "edit")
	if no != nil {
		return nil, no
	}
	caption, entities, no := c.text("caption", "caption_entities")
	switch {
	case no != nil:
		return nil, no
	case units(caption) > maxCaption:
		return nil, bad("message caption is too long")
	case m.Text != "":
		return nil, bad("there is no caption in the message to edit")
	}
	markup, no := c.markup()
	if no != nil {
		return nil, no
	}
	if caption == m.Caption && same(entities, m.CaptionEntities) && same(markup, m.ReplyMarkup) {
		return nil, unchanged()
	}
	m.Caption, m.CaptionEntities, m.ReplyMarkup, m.EditDate = caption, entities, markup, time.Now().Unix()
	s.touch()
	return m, nil
}

func (s *Server) editMessageReplyMarkup(c *Call) (any, *refusal) {
	m, no := s.own(c, "edit")
	if no != nil {
		return nil, no
	}
	markup, no := c.markup()
	if no != nil {
		return nil, no
	}
	if same(markup, m.ReplyMarkup) {
		return nil, unchanged()
	}
	m.ReplyMarkup, m.EditDate = markup, time.Now().Unix()
	s.touch()
	return m, nil
}

func unchanged() *refusal {
	return bad("message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
}

// same compares two values by their JSON.
func same(a, b any) bool {
	x, _ := json.Marshal(a) // plain structs, which always encode
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func (s *Server) deleteMessage(c *Call) (any, *refusal) {
	m, no := s.own(c, "delete")
	if no != nil {
		return nil, no
	}
	delete(s.chat(m.Chat.ID).messages, m.ID)
	s.touch()
	return true, nil
}
