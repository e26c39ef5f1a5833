package telegram

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/chat"
)

// errNotSaved marks what our own side could not store for now.
var errNotSaved = errors.New("telegram: not stored")

var tagPattern = regexp.MustCompile(`(?i)#thread:([0-9a-z]+)`)

// ours reports whether a message is the operator's: from the chat TELEGRAM_CHAT_ID, by a person or by the group's anonymous
// administrator.
func (b *Bridge) ours(m *tele.Message) bool {
	if m.Chat == nil || m.Chat.ID != int64(b.to()) {
		return false
	}
	if m.SenderChat != nil {
		return m.SenderChat.ID == m.Chat.ID
	}
	return m.Sender != nil && !m.Sender.IsBot
}

// hear acts on a message of Telegram's. last says that it is not tried again.
func (b *Bridge) hear(ctx context.Context, m *tele.Message, last bool) error {
	if !b.ours(m) {
		return nil
	}
	if m.TopicClosed != nil || m.TopicReopened != nil {
		return b.topicTurned(ctx, m)
	}
	if command, rest, ok := parseCommand(m.Text, b.username(ctx)); ok {
		return b.command(ctx, m, command, rest)
	}
	f := fileOf(m)
	if m.Text == "" && f == nil {
		if !strange(m) {
			return nil // a service message
		}
		return b.answer(ctx, m, say(b.language(m.Sender), "unsupported"), nil)
	}
	threadID, why, err := b.target(ctx, m)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	if threadID == "" {
		if m.AlbumID != "" && b.albums.told(m.AlbumID) {
			return nil
		}
		return b.answer(ctx, m, why, nil)
	}
	return b.pass(ctx, m, threadID, f, last)
}

// strange reports whether a message has content that visitors cannot be given; without any it is a service message.
func strange(m *tele.Message) bool {
	return m.Sticker != nil || m.Contact != nil || m.Location != nil || m.Venue != nil || m.Poll != nil || m.Dice != nil || m.Game != nil || m.Story != nil
}

// target finds the thread that a message is for. Without one, why tells the operator what to do.
func (b *Bridge) target(ctx context.Context, m *tele.Message) (threadID, why string, err error) {
	lang := b.language(m.Sender)
	found := make(map[string]bool)
	note := func(id string, err error) error {
		if err == nil {
			found[id] = true
		}
		if errors.Is(err, models.ErrNotFound) {
			return nil
		}
		return err
	}
	if m.TopicMessage && m.ThreadID != 0 {
		t, err := b.inTopic(ctx, int64(m.ThreadID))
		if err := note(t.ThreadID, err); err != nil {
			return "", "", err
		}
	}
	if m.ReplyTo != nil && m.ReplyTo.TopicCreated == nil {
		l, err := b.linked(ctx, m.ReplyTo)
		if err := note(l.ThreadID, err); err != nil {
			return "", "", err
		}
	}
	for _, tag := range tagPattern.FindAllStringSubmatch(m.Text+" "+m.Caption, -1) {
		short := strings.ToLower(tag[1])
		t, err := b.store.TelegramThreadByShortID(ctx, short)
		if errors.Is(err, models.ErrNotFound) {
			return "", say(lang, "unknown_tag", "tag", html.EscapeString(short)), nil
		}
		if err := note(t.ThreadID, err); err != nil {
			return "", "", err
		}
	}
	if len(found) == 0 && m.AlbumID != "" {
		if id := b.albums.thread(m.AlbumID); id != "" {
			found[id] = true
		}
	}
	switch len(found) {
	case 0:
		how := "how_plain"
		if b.forum.topics() {
			how = "how"
		}
		return "", say(lang, how), nil
	case 1:
		for id := range found {
			b.albums.note(m.AlbumID, id)
			return id, "", nil
		}
	}
	return "", say(lang, "conflict"), nil
}

// inTopic finds the thread of a topic, also while it is being noted.
func (b *Bridge) inTopic(ctx context.Context, topic int64) (models.TelegramThread, error) {
	t, err := b.store.TelegramThreadByTopic(ctx, int64(b.to()), topic)
	if errors.Is(err, models.ErrNotFound) {
		b.sending.Lock()
		t, err = b.store.TelegramThreadByTopic(ctx, int64(b.to()), topic)
		b.sending.Unlock()
	}
	return t, err
}

// linked finds what a message is linked to. A message of the bot's may be answered before it is noted that it was sent.
func (b *Bridge) linked(ctx context.Context, m *tele.Message) (models.TelegramLink, error) {
	l, err := b.store.Linked(ctx, int64(b.to()), int64(m.ID))
	if errors.Is(err, models.ErrNotFound) && m.Sender != nil && m.Sender.ID == b.botID {
		b.sending.Lock()
		l, err = b.store.Linked(ctx, int64(b.to()), int64(m.ID))
		b.sending.Unlock()
	}
	return l, err
}

// pass hands a message to the visitor of a thread.
func (b *Bridge) pass(ctx context.Context, m *tele.Message, threadID string, f *incoming, last bool) error {
	lang := b.language(m.Sender)
	p := chat.Post{ThreadID: threadID, Text: withoutTags(m.Text + m.Caption), ClientID: b.clientID(m)}
	if f != nil {
		stored, why, err := b.fetch(ctx, f, lang)
		switch {
		case err != nil && !last:
			return err
		case err != nil:
			b.log.Warn("telegram: a file could not be fetched", slog.Any("error", err))
			return b.answer(ctx, m, say(lang, "no_fetch"), nil)
		case why != "":
			return b.answer(ctx, m, why, nil)
		}
		p.Type, p.FileURL = string(stored.Kind), stored.URL
	}
	posted, err := b.chat.Post(ctx, operator, p)
	var no *chat.Error
	switch {
	case errors.As(err, &no) && no.Code == chat.CodeNotFound:
		return b.answer(ctx, m, say(lang, "gone"), nil)
	case errors.As(err, &no) && no.Status < 500:
		return b.answer(ctx, m, say(lang, "failed", "reason", html.EscapeString(reason(lang, no))), nil)
	case err != nil:
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	// Answers to this message, and corrections of it, find their way too.
	err = b.store.Link(ctx, models.TelegramLink{
		ThreadID: threadID, MessageID: posted.ID, ChatID: m.Chat.ID, TelegramMessageID: int64(m.ID), TopicID: int64(topicOf(m)), CreatedAt: b.now().UTC(),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}

// clientID makes a message of Telegram's be stored once, however often it comes. Visitors cannot guess it, and so take no
// message's place.
func (b *Bridge) clientID(m *tele.Message) string {
	mac := hmac.New(sha256.New, []byte(b.secret))
	mac.Write([]byte(strconv.FormatInt(m.Chat.ID, 10) + " " + strconv.Itoa(m.ID)))
	return "telegram-" + hex.EncodeToString(mac.Sum(nil)[:16])
}

func withoutTags(text string) string { return strings.TrimSpace(tagPattern.ReplaceAllString(text, "")) }

// topicOf is the topic that a message stands in, 0 for none. Elsewhere than in a forum the number means a chain of replies.
func topicOf(m *tele.Message) int {
	if m.TopicMessage {
		return m.ThreadID
	}
	return 0
}

// hearEdit gives a message of the operator's its new text.
func (b *Bridge) hearEdit(ctx context.Context, m *tele.Message) error {
	if !b.ours(m) {
		return nil
	}
	l, err := b.store.Linked(ctx, m.Chat.ID, int64(m.ID))
	if errors.Is(err, models.ErrNotFound) || err == nil && l.MessageID == 0 {
		return nil // it went to nobody
	} else if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	_, err = b.chat.Edit(ctx, operator, l.ThreadID, l.MessageID, withoutTags(m.Text+m.Caption))
	var no *chat.Error
	switch {
	case errors.As(err, &no) && no.Code == chat.CodeNotFound:
		return nil
	case errors.As(err, &no) && no.Status < 500:
		return b.answer(ctx, m, say(b.language(m.Sender), "not_edited", "reason", html.EscapeString(reason(b.language(m.Sender), no))), nil)
	case err != nil:
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}

// topicTurned closes or reopens the thread whose topic the operator closed or reopened.
func (b *Bridge) topicTurned(ctx context.Context, m *tele.Message) error {
	names, err := b.store.TelegramThreadByTopic(ctx, m.Chat.ID, int64(m.ThreadID))
	if errors.Is(err, models.ErrNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	status := models.StatusActive
	if m.TopicClosed != nil {
		status = models.StatusClosed
		t, err := b.store.Thread(ctx, names.ThreadID)
		if err == nil && t.LastSender == models.Visitor && t.LastMessageAt != nil && t.LastMessageAt.After(m.Time().Add(time.Second)) {
			return nil // the visitor has written since, which opened it again
		}
	}
	names.TopicStatus = status
	err = b.store.SetTopic(ctx, names)
	if err == nil {
		err = b.chat.SetStatus(ctx, operator, names.ThreadID, status)
	}
	var no *chat.Error
	if err != nil && (!errors.As(err, &no) || no.Status >= 500) {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}

// answer writes to the operator where they wrote.
func (b *Bridge) answer(ctx context.Context, m *tele.Message, text string, markup *tele.ReplyMarkup) error {
	_, err := b.reply(ctx, m, text, markup)
	return err
}

// answerWait is how long an answer waits when Telegram wants no messages.
const answerWait = 30 * time.Second

// reply is answer that gives the message's id, 0 if there is none: what Telegram will never take is logged, not tried again.
func (b *Bridge) reply(ctx context.Context, m *tele.Message, text string, markup *tele.ReplyMarkup) (int64, error) {
	if err := b.pace.urgent(ctx, answerWait); err != nil {
		return 0, err
	}
	options := &tele.SendOptions{
		ParseMode: tele.ModeHTML, DisableWebPagePreview: true, ReplyTo: &tele.Message{ID: m.ID}, AllowWithoutReply: true,
		ThreadID: topicOf(m), ReplyMarkup: markup,
	}
	id, err := b.api.send(ctx, callTimeout, b.to(), text, options)
	b.pace.done()
	if err != nil && judge(err) != passing && judge(err) != flooded {
		b.log.Warn("telegram: the operator could not be answered", slog.Any("error", err))
		return 0, nil
	}
	return id, err
}
