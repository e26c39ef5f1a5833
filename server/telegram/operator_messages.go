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
	"sohbet/server/apperr"
	"sohbet/server/chat"
	"sohbet/server/outbox"
)

// errNotSaved marks an error of this server's database.
var errNotSaved = errors.New("telegram: not stored")

var tagPattern = regexp.MustCompile(`(?i)#thread:([0-9a-z]+)`)

// isFromTeam reports whether a message is an operator's: from the chat TELEGRAM_CHAT_ID, by a person or by the group's anonymous
// administrator.
func (b *Bridge) isFromTeam(m *tele.Message) bool {
	if m.Chat == nil || !b.ownChat(m.Chat.ID) {
		return false
	}
	if m.SenderChat != nil {
		return m.SenderChat.ID == m.Chat.ID
	}
	return m.Sender != nil && !m.Sender.IsBot
}

// handleMessage processes a Telegram message. last means that it will not be retried.
func (b *Bridge) handleMessage(ctx context.Context, m *tele.Message, last bool) error {
	b.handleMigration(ctx, m)
	if m.Chat != nil && !b.ownChat(m.Chat.ID) {
		b.askMoved(ctx, m)
	}
	if b.isPrivate(m) {
		return b.handlePrivate(ctx, m)
	}
	if !b.isFromTeam(m) {
		return b.handleUnreadable(ctx, m)
	}
	if m.TopicClosed != nil || m.TopicReopened != nil {
		return b.topicChanged(ctx, m)
	}
	if strings.HasPrefix(m.Text, "/") {
		command, rest, _ := parseCommand(m.Text, b.username(ctx))
		return b.onlyOnce(b.command(ctx, m, command, rest))
	}
	f := fileOf(m)
	if !hasContent(m) {
		if !unsupported(m) {
			return nil // a service message
		}
		return b.answer(ctx, m, localized(b.language(m.Sender), "unsupported"), nil)
	}
	threadID, why, err := b.target(ctx, m)
	if err == nil && threadID == "" && m.AlbumID != "" && !tagPattern.MatchString(m.Caption) {
		threadID, err = b.awaitAlbum(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	if threadID == "" {
		if m.AlbumID != "" && b.albums.published(m.AlbumID) {
			return nil
		}
		return b.hint(ctx, m, why)
	}
	if !b.mayAct(b.actor(m.Sender)) {
		return b.refuseUnlinkedSender(ctx, m)
	}
	return b.forward(ctx, m, threadID, f, last)
}

// handleUnreadable notifies the operator that a message which was written on behalf of a channel is not forwarded to a visitor.
func (b *Bridge) handleUnreadable(ctx context.Context, m *tele.Message) error {
	channel := m.Chat != nil && b.ownChat(m.Chat.ID) && m.SenderChat != nil && m.SenderChat.ID != m.Chat.ID && !m.AutomaticForward
	if !channel || !hasContent(m) && !unsupported(m) {
		return nil
	}
	return b.hint(ctx, m, localized(b.locale, "as_channel"))
}

// target determines the thread that a message is for. If there is none, why is the hint for the operator.
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
			return "", localized(lang, "unknown_tag", "tag", html.EscapeString(short)), nil
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
		return "", localized(lang, how), nil
	case 1:
		for id := range found {
			b.albums.note(m.AlbumID, id)
			return id, "", nil
		}
	}
	return "", localized(lang, "conflict"), nil
}

// inTopic finds the thread of a topic. If topics are being created it waits, because operators may write in a topic before it is
// stored.
func (b *Bridge) inTopic(ctx context.Context, topic int64) (models.TelegramThread, error) {
	for deadline := b.now().Add(sendTimeout); ; {
		making := b.making.Load() > 0 // read first: a topic is stored before it is counted as created
		t, err := b.store.TelegramThreadByTopic(ctx, int64(b.recipient()), topic)
		if !errors.Is(err, models.ErrNotFound) || !making || b.now().After(deadline) {
			return t, err
		}
		if err := outbox.Sleep(ctx, makingEvery); err != nil {
			return t, err
		}
	}
}

const makingEvery = 50 * time.Millisecond

// linked finds the link of a message. Operators may reply to a message of the bot before its link is stored, so the tag in its last
// line is used too.
func (b *Bridge) linked(ctx context.Context, m *tele.Message) (models.TelegramLink, error) {
	in := int64(b.recipient())
	if m.Chat != nil {
		in = m.Chat.ID
	}
	l, err := b.store.Linked(ctx, in, int64(m.ID))
	if !errors.Is(err, models.ErrNotFound) || m.Sender == nil || m.Sender.ID != b.botID {
		return l, err
	}
	text := m.Text + m.Caption
	tag := tagPattern.FindStringSubmatch(text[strings.LastIndex(text, "\n")+1:])
	if tag == nil {
		return l, err
	}
	t, err := b.store.TelegramThreadByShortID(ctx, strings.ToLower(tag[1]))
	return models.TelegramLink{ThreadID: t.ThreadID}, err
}

// forward forwards a message to the visitor of a thread.
func (b *Bridge) forward(ctx context.Context, m *tele.Message, threadID string, f *incomingFile, last bool) error {
	lang := b.language(m.Sender)
	p := chat.Post{ThreadID: threadID, Text: textOf(m), ClientID: b.clientID(m)}
	if f != nil {
		stored, why, err := b.fetch(ctx, f, lang)
		switch {
		case err != nil && !last:
			return err
		case err != nil:
			b.log.Warn("telegram: failed to fetch a file", slog.Any("error", err))
			return b.answer(ctx, m, localized(lang, "no_fetch"), nil)
		case why != "":
			return b.answer(ctx, m, why, nil)
		}
		p.Type, p.FileURL = string(stored.Kind), stored.URL
	}
	posted, err := b.chat.Post(ctx, b.actor(m.Sender), p)
	var no *apperr.Error
	switch {
	case errors.As(err, &no) && no.Code == apperr.CodeNotFound:
		return b.answer(ctx, m, localized(lang, "gone"), nil)
	case errors.As(err, &no) && no.Status < 500:
		return b.answer(ctx, m, localized(lang, "failed", "reason", html.EscapeString(reason(lang, no))), nil)
	case err != nil:
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	// Link it, for replies to this message and edits of it.
	err = b.store.Link(ctx, models.TelegramLink{
		ThreadID: threadID, MessageID: posted.ID, ChatID: m.Chat.ID, TelegramMessageID: int64(m.ID), TopicID: int64(topicOf(m)), CreatedAt: b.now().UTC(),
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}

// clientID returns the client id of a Telegram message, which makes it be stored only once. It is a MAC, so that visitors cannot guess
// it and store their own message under it.
func (b *Bridge) clientID(m *tele.Message) string {
	mac := hmac.New(sha256.New, []byte(b.secret))
	mac.Write([]byte(strconv.FormatInt(m.Chat.ID, 10) + " " + strconv.Itoa(m.ID)))
	return "telegram-" + hex.EncodeToString(mac.Sum(nil)[:16])
}

func withoutTags(text string) string { return strings.TrimSpace(tagPattern.ReplaceAllString(text, "")) }

// topicOf returns the topic of a message, 0 for none. Outside of forums the thread id denotes a chain of replies.
func topicOf(m *tele.Message) int {
	if m.TopicMessage {
		return m.ThreadID
	}
	return 0
}

// handleEdit updates the text of a forwarded message. A message that was not forwarded is forwarded if the edit added a tag.
func (b *Bridge) handleEdit(ctx context.Context, m *tele.Message, last bool) error {
	if !b.isFromTeam(m) || m.Location != nil { // a live location is edited continuously
		return nil
	}
	l, err := b.store.Linked(ctx, m.Chat.ID, int64(m.ID))
	if errors.Is(err, models.ErrNotFound) && tagPattern.MatchString(m.Text+m.Caption) {
		return b.handleTagged(ctx, m, last)
	} else if errors.Is(err, models.ErrNotFound) || err == nil && l.MessageID == 0 {
		return nil // it was not forwarded
	} else if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	if !b.mayAct(b.actor(m.Sender)) {
		return b.refuseUnlinkedSender(ctx, m)
	}
	_, err = b.chat.Edit(ctx, b.actor(m.Sender), l.ThreadID, l.MessageID, textOf(m))
	var no *apperr.Error
	switch {
	case errors.As(err, &no) && no.Code == apperr.CodeNotFound:
		return nil
	case errors.As(err, &no) && no.Status < 500:
		return b.answer(ctx, m, localized(b.language(m.Sender), "not_edited", "reason", html.EscapeString(reason(b.language(m.Sender), no))), nil)
	case err != nil:
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}

// topicChanged closes or reopens the thread whose topic the operator closed or reopened. If the operator may not do that, the topic is set
// back.
func (b *Bridge) topicChanged(ctx context.Context, m *tele.Message) error {
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
			return nil // the visitor has written since, which reopened it
		}
	}
	names.TopicStatus = status
	err = b.store.SetTopic(ctx, names)
	if err == nil && !b.mayAct(b.actor(m.Sender)) {
		err = b.store.QueueTopic(ctx, names.ThreadID)
	} else if err == nil {
		err = b.chat.SetStatus(ctx, b.actor(m.Sender), names.ThreadID, status)
	}
	var no *apperr.Error
	if err != nil && (!errors.As(err, &no) || no.Status >= 500) {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}
