package telegram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
)

const (
	maxDetail     = 250 // UTF-16 units per detail about a visitor
	repeatedLines = 5   // of a conversation whose topic was deleted in Telegram
	maxRepeated   = 250 // UTF-16 units per line
)

// details returns what is known about the visitor of a thread, one detail per line, without markup.
func (b *Bridge) details(ctx context.Context, t models.Thread) (string, error) {
	person, err := b.store.Person(ctx, t)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return "", fmt.Errorf("%w: %w", errNotSaved, err)
	}
	var lines []string
	add := func(key, value string) {
		if value = oneLine(value, maxDetail); value != "" {
			lines = append(lines, localized(b.locale, key, key, value))
		}
	}
	add("page", t.PageTitle+" "+t.PageURL)
	add("language", t.Locale)
	add("phone", t.PhoneNumber)
	add("email", t.Email)
	if n := person.Sessions - 1; n > 0 {
		earlier := strconv.FormatInt(n, 10)
		if len(person.Earlier) > 0 && person.Earlier[0].LastMessageAt != nil {
			earlier += " (" + person.Earlier[0].LastMessageAt.UTC().Format("2006-01-02") + ")"
		}
		add("earlier", earlier)
	}
	return strings.Join(lines, "\n"), nil
}

// lastLines returns the messages of a thread before a message, one per line, without markup.
func (b *Bridge) lastLines(ctx context.Context, t models.Thread, before int64) (string, error) {
	list, _, err := b.store.Messages(ctx, t.ID, models.MessageQuery{BeforeID: before, Limit: 2 * repeatedLines})
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotSaved, err)
	}
	var lines []string
	for _, m := range list {
		name := localized(b.locale, "you")
		switch m.SenderType {
		case models.Visitor:
			name = topicName(t)
		case "system":
			continue
		}
		text := m.ContentText
		if m.ContentType != "text" {
			text = b.mediaWord(m) + " " + text
		}
		lines = append(lines, oneLine(name+": "+text, maxRepeated))
	}
	if len(lines) == 0 {
		return "", nil
	}
	return localized(b.locale, "repeated") + "\n" + strings.Join(lines[max(0, len(lines)-repeatedLines):], "\n"), nil
}

// introduceVisitor makes the first message of a thread in its topic, or in a chat without topics, show who the visitor is, and in a
// topic also the preceding messages. Details that fit into the message itself are put into o.info, otherwise they are sent before it.
func (b *Bridge) introduceVisitor(ctx context.Context, o *outgoing) error {
	o.first, o.info = false, ""
	if o.parts() > 0 {
		return nil
	}
	_, err := b.store.FirstLink(ctx, o.thread.ID, int64(b.recipient()), o.names.TopicID)
	if err == nil {
		return nil
	} else if !errors.Is(err, models.ErrNotFound) {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	o.first = true
	p := part{sign: "👤", name: topicName(o.thread), tag: tagPrefix + o.names.ShortID}
	if p.info, err = b.details(ctx, o.thread); err != nil {
		return err
	}
	if o.names.TopicID != 0 {
		if p.body, err = b.lastLines(ctx, o.thread, o.messages[0].ID); err != nil {
			return err
		}
	}
	switch {
	case p.body == "" && p.info == "":
		return nil
	case p.body == "" && units(p.info)+1 <= o.room:
		o.info = p.info
		return nil
	}
	options := &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true, ThreadID: int(o.names.TopicID)}
	id, err := b.post(ctx, o.take, sendTimeout, p.html(), options)
	if err != nil && classify(err) == refused { // the message itself is more important
		b.log.Warn("telegram: Telegram refused the details about a visitor", slog.Any("error", err))
		return nil
	} else if err != nil {
		return err
	}
	for _, link := range b.links(o, id)[:1] {
		link.MessageID = 0
		if err := b.store.Link(ctx, link); err != nil { // a retry would send it twice
			b.log.Warn("telegram: failed to store the link of an introduction", slog.Any("error", err))
		}
	}
	return nil
}

// introduced sets o.info to the details that the message of a link shows within room units, if it is the first of its thread there.
func (b *Bridge) introduced(ctx context.Context, o *outgoing, link models.TelegramLink, service int) error {
	o.info = ""
	first, err := b.store.FirstLink(ctx, o.thread.ID, link.ChatID, link.TopicID)
	switch {
	case errors.Is(err, models.ErrNotFound), err == nil && first.TelegramMessageID != link.TelegramMessageID:
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	info, err := b.details(ctx, o.thread)
	if err == nil && units(info)+1 <= service {
		o.info = info
	}
	return err
}
