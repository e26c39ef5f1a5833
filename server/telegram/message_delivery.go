package telegram

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/media"
	"sohbet/server/outbox"
)

// form is the form in which a message is sent. If its content is refused in one form, the next one is tried, so that no message blocks
// its thread.
type form uint8

const (
	asIs     form = iota
	asFile        // media as a document, which Telegram does not inspect
	asPlain       // text without markup, media replaced by a word
	asNotice      // only a notice that there is a message
)

const (
	maxPhoto = 10 << 20 // bytes accepted by the public Bot API server
	maxFile  = 50 << 20
)

// outgoing is what is sent as one Telegram message: a message or a part of it, or several messages of one sender.
type outgoing struct {
	rows     []models.OutboxRow // one per message
	messages []models.Message
	thread   models.Thread
	names    models.TelegramThread
	take     slots

	room  int    // UTF-16 units left after its text
	first bool   // the first message of its thread in that chat or topic
	info  string // details about the visitor, which the first message shows
}

func (o *outgoing) parts() int { return o.rows[0].Parts }

// text returns the combined texts of the messages.
func (o *outgoing) text() string {
	list := make([]string, len(o.messages))
	for i, m := range o.messages {
		list[i] = m.ContentText
	}
	return strings.Join(list, "\n")
}

// sendMessages sends the next part of the first message, or several whole messages that fit into one.
//
// A message is done when Telegram accepted it, or refused its content and accepted a plainer form. After an error that may concern the
// bot or the chat it stays queued.
func (b *Bridge) sendMessages(ctx context.Context, d outbox.Delivery, take slots) outbox.Outcome {
	o, gone, err := b.load(ctx, d)
	switch {
	case err != nil:
		return b.notRead(ctx, err)
	case len(gone) > 0:
		return outbox.Outcome{Done: gone}
	}
	o.take = take
	var first error // the error of the richest form
	for f, mended := asIs, 0; ; {
		id, last, err := b.sendForm(ctx, o, f)
		v := classify(err)
		switch {
		case err == nil && f == asNotice:
			return b.noticeSent(ctx, o, id, first)
		case err == nil:
			return b.delivered(o, id, last)
		case errors.Is(err, errAgain) && mended < 2:
			mended++
			continue
		case errors.Is(err, errNotSaved):
			return b.notRead(ctx, err)
		}
		if first == nil {
			first = err
		}
		content := v == refused || d.Failures >= plainerAfter && (v == passing || v == barred)
		if !content || f == asNotice || ctx.Err() != nil {
			return b.failed(err)
		}
		if len(o.rows) > 1 { // any of them may be the cause
			o.rows, o.messages, first = o.rows[:1], o.messages[:1], nil
			continue
		}
		b.log.Warn("telegram: Telegram refused a message", slog.Int64("message_id", o.messages[0].ID), slog.Int("form", int(f)), slog.Any("error", err))
		if f++; f == asFile && o.messages[0].ContentType == "text" {
			f = asPlain
		}
	}
}

// load reads the messages to be combined. gone are rows whose messages were deleted meanwhile.
func (b *Bridge) load(ctx context.Context, d outbox.Delivery) (o *outgoing, gone []models.OutboxRow, err error) {
	o = &outgoing{}
	for _, row := range d.Rows {
		if row.Kind != models.OutboxMessage || len(o.rows) > 0 && (row.Parts > 0 || d.Failures > 0) {
			break
		}
		m, err := b.store.Message(ctx, row.MessageID)
		if errors.Is(err, models.ErrNotFound) {
			if len(o.rows) == 0 {
				return nil, []models.OutboxRow{row}, nil
			}
			break
		} else if err != nil {
			return nil, nil, err
		}
		if len(o.rows) == 0 {
			o.thread, err = b.store.Thread(ctx, row.ThreadID)
			if err == nil {
				o.names, _, err = b.store.TelegramThread(ctx, row.ThreadID)
			}
			if errors.Is(err, models.ErrNotFound) {
				return nil, d.Rows, nil
			} else if err != nil {
				return nil, nil, err
			}
		}
		o.rows, o.messages = append(o.rows, row), append(o.messages, m)
		if !b.fits(o) {
			if n := len(o.rows) - 1; n > 0 {
				o.rows, o.messages = o.rows[:n], o.messages[:n]
			}
			break
		}
	}
	return o, nil, nil
}

// fits reports whether the messages can be combined and leave room for more.
func (b *Bridge) fits(o *outgoing) bool {
	for _, m := range o.messages {
		if m.ContentType != "text" || m.SenderType != o.messages[0].SenderType {
			return false
		}
	}
	sign, name, tag := b.frame(o)
	return o.parts() == 0 && len(parts(sign, name, tag, o.text(), maxText)) == 1
}

// delivered returns the outcome after Telegram accepted a message under this id.
func (b *Bridge) delivered(o *outgoing, id int64, last bool) outbox.Outcome {
	out := outbox.Outcome{}
	if last {
		out.Done = o.rows
	}
	links := b.links(o, id)
	out.Record = func(ctx context.Context) error {
		upTo, err := b.store.OutboxSent(ctx, o.rows, links, !last)
		if err != nil {
			return err
		}
		b.state.sent.Add(int64(len(links)))
		if last && upTo > 0 && o.messages[0].SenderType == models.Visitor {
			if err := b.chat.Delivered(ctx, operator, o.thread.ID, upTo); err != nil {
				b.log.Warn("telegram: failed to store a delivery mark", slog.Any("error", err))
			}
		}
		if last && o.thread.Status == models.StatusClosed && o.names.TopicID != 0 {
			if err := b.store.QueueTopic(ctx, o.thread.ID); err != nil {
				b.log.Warn("telegram: failed to queue closing the topic of a closed conversation", slog.Any("error", err))
			}
		}
		return nil
	}
	return out
}

// links returns links from a Telegram message to each of the messages that it shows; none for id 0.
func (b *Bridge) links(o *outgoing, id int64) []models.TelegramLink {
	if id == 0 {
		return nil
	}
	links := make([]models.TelegramLink, len(o.messages))
	for i, m := range o.messages {
		links[i] = models.TelegramLink{
			ThreadID: o.thread.ID, MessageID: m.ID, ChatID: int64(b.recipient()), TelegramMessageID: id, TopicID: o.names.TopicID, CreatedAt: b.now().UTC(),
		}
	}
	return links
}

// noticeSent returns the outcome after Telegram accepted the notice instead of the message. The message is retried once: if it is refused
// again, its content is the cause, and the notice, which refers the operator to the console, replaces it. If the cause is unclear, the
// message is set aside.
func (b *Bridge) noticeSent(ctx context.Context, o *outgoing, id int64, cause error) outbox.Outcome {
	again, last, err := b.sendForm(ctx, o, asIs)
	switch {
	case err == nil: // the cause has disappeared meanwhile
		params := map[string]any{"chat_id": b.recipient().Recipient(), "message_id": id}
		err := b.paced(ctx, o.take, func(ctx context.Context) error { return b.api.raw(ctx, callTimeout, "deleteMessage", params, nil) })
		if err != nil {
			b.log.Warn("telegram: failed to delete the notice of a message that was sent after all", slog.Any("error", err))
		}
		return b.delivered(o, again, last)
	case classify(cause) == refused && classify(err) == refused:
		return b.delivered(o, id, true)
	}
	for _, link := range b.links(o, id) {
		if err := b.store.Link(models.WithoutLease(ctx), link); err != nil {
			b.log.Warn("telegram: failed to store the link of a notice", slog.Any("error", err))
		}
	}
	out := b.failed(cause)
	out.Scope, out.Aside = outbox.Unclear, true
	return out
}

// sendForm sends the next part of a message in one form. last reports that it was the last part.
func (b *Bridge) sendForm(ctx context.Context, o *outgoing, f form) (id int64, last bool, err error) {
	m := o.messages[0]
	body, file, err := b.open(ctx, o, f)
	if err != nil {
		return 0, false, err
	}
	if body != nil {
		defer func() { _ = body.Close() }()
	}
	list := b.compose(o, f, body != nil)
	if len(list) == 0 {
		return 0, true, nil
	}
	p := list[0]
	o.room = maxText - units(p.plain())
	options := &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true}
	timeout := sendTimeout
	what := func() any { p.info = o.info; return p.html() }
	switch {
	case body != nil:
		o.room, timeout = maxCaption-units(p.plain()), uploadTimeout
		what = func() any { p.info = o.info; return sendable(f, m.ContentType, file, body, p.html()) }
	case f >= asPlain:
		options.ParseMode = ""
		what = func() any { p.info = o.info; return p.plain() }
	}
	id, err = b.sendPart(ctx, o, what, options, timeout, body != nil)
	return id, len(list) == 1, err
}

// sendPart sends one part to its thread's topic, creating or repairing the topic if needed. what is called when o.info is known; once
// means that its result can be sent only once.
func (b *Bridge) sendPart(ctx context.Context, o *outgoing, what func() any, options *tele.SendOptions, timeout time.Duration, once bool) (int64, error) {
	for try := 0; ; try++ {
		chat := b.recipient()
		if err := b.topic(ctx, o.take, o.thread, &o.names); err != nil {
			if b.followed(ctx, chat, err) {
				return 0, errAgain
			}
			if v := classify(err); v != topicGone || try > 1 {
				return 0, err
			}
			if err := b.forgetTopic(ctx, &o.names); err != nil {
				return 0, err
			}
			continue
		}
		options.ThreadID, options.ReplyMarkup = int(o.names.TopicID), nil
		err := b.introduceVisitor(ctx, o)
		if o.first && o.messages[0].SenderType == models.Visitor {
			options.ReplyMarkup = b.threadButtons(b.locale, o.names.ShortID, false)
		}
		var id int64
		sent := err == nil
		if sent {
			id, err = b.post(ctx, o.take, timeout, what(), options)
		}
		if b.followed(ctx, chat, err) {
			return 0, errAgain
		}
		v := classify(err)
		if err == nil || v != topicGone && v != topicClosed || try > 1 || o.names.TopicID == 0 {
			return id, err
		}
		if v == topicGone {
			b.log.Info("telegram: a topic was deleted; creating a new one")
			err = b.forgetTopic(ctx, &o.names)
		} else if err = b.reopenTopic(ctx, o.take, &o.names); classify(err) == topicGone && err != nil {
			err = b.forgetTopic(ctx, &o.names)
		}
		if err != nil {
			return 0, err
		}
		if once && sent {
			return 0, errAgain // its file was already read
		}
	}
}

// errAgain requests an immediate retry of the row, now that its topic or chat was replaced.
var errAgain = errors.New("telegram: the topic or chat of the message has changed")

// post sends one message to the operators' chat.
func (b *Bridge) post(ctx context.Context, take slots, timeout time.Duration, what any, options *tele.SendOptions) (id int64, err error) {
	return b.postTo(ctx, b.recipient(), take, timeout, what, options)
}

// postTo is like post, to another chat.
func (b *Bridge) postTo(ctx context.Context, to chatID, take slots, timeout time.Duration, what any, options *tele.SendOptions) (id int64, err error) {
	err = b.paced(ctx, take, func(ctx context.Context) error {
		id, err = b.api.send(ctx, timeout, to, what, options)
		return err
	})
	return id, err
}

// frame returns the heading and tag around a message's text.
func (b *Bridge) frame(o *outgoing) (sign, name, tag string) {
	sign, name = "💬", topicName(o.thread)
	if o.messages[0].SenderType == models.Admin {
		sign, name = "🖥", strings.ReplaceAll(localized(b.locale, "console"), "{name}", name)
	}
	return sign, name, tagPrefix + o.names.ShortID
}

// compose splits a message into parts and returns those that are still to be sent. The split is the same in every form, because some
// parts may have been sent in another one.
func (b *Bridge) compose(o *outgoing, f form, withMedia bool) []part {
	m := o.messages[0]
	sign, name, tag := b.frame(o)
	if f == asNotice {
		return []part{{sign: sign, name: name, body: localized(b.locale, "unshowable"), tag: tag}}
	}
	first := maxText
	if m.ContentType != "text" {
		first = maxCaption
	}
	list := parts(sign, name, tag, o.text(), first)
	if m.ContentType != "text" && !withMedia {
		list[0].body = strings.TrimSpace(b.mediaWord(m) + "\n" + list[0].body)
	}
	return list[min(o.parts(), len(list)):]
}

// mediaWord returns the word that replaces media which cannot be sent.
func (b *Bridge) mediaWord(m models.Message) string {
	word := localized(b.locale, map[string]string{"image": "picture", "audio": "voice"}[m.ContentType])
	if word == "" {
		word = localized(b.locale, "file")
	}
	if strings.HasPrefix(m.FileURL, "https://") || strings.HasPrefix(m.FileURL, "http://") {
		word += " " + m.FileURL
	}
	return word
}

// open opens the file of a message, if the next part has one that Telegram accepts in this form.
func (b *Bridge) open(ctx context.Context, o *outgoing, f form) (io.ReadCloser, media.File, error) {
	m := o.messages[0]
	if f >= asPlain || o.parts() > 0 || m.ContentType == "text" || m.FileURL == "" || b.files == nil {
		return nil, media.File{}, nil
	}
	r, file, err := b.files.Open(ctx, m.FileURL)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, media.File{}, ctx.Err()
	case err != nil:
		b.log.Warn("telegram: failed to open a file; sending its message without it", slog.Int64("message_id", m.ID), slog.Any("error", err))
		return nil, media.File{}, nil
	case file.Size > maxFile:
		_ = r.Close()
		return nil, media.File{}, nil
	case f == asIs && m.ContentType == "audio" && baseType(file) == "audio/webm":
		return b.convertVoice(ctx, m.FileURL, r, file)
	}
	return r, file, nil
}

// convertVoice converts a WebM recording, as made by most browsers, to the format of Telegram's voice messages
// (https://core.telegram.org/bots/api#sendvoice), or returns it unchanged if its audio is not Opus. It reads the recording twice, so
// that it need not be held in memory.
func (b *Bridge) convertVoice(ctx context.Context, url string, r io.ReadCloser, file media.File) (io.ReadCloser, media.File, error) {
	n, err := io.Copy(io.Discard, media.OpusFromWebM(r))
	_ = r.Close() // opened only for reading
	if err != nil && !errors.Is(err, media.ErrNoOpus) {
		return nil, media.File{}, fmt.Errorf("telegram: read a recording: %w", err)
	}
	r, again, openErr := b.files.Open(ctx, url)
	if openErr != nil {
		return nil, media.File{}, fmt.Errorf("telegram: open a recording: %w", openErr)
	}
	if err != nil {
		return r, again, nil
	}
	file.Type, file.Size = "audio/ogg", n
	return struct {
		io.Reader
		io.Closer
	}{media.OpusFromWebM(r), r}, file, nil
}

// baseType returns a file's media type without parameters.
func baseType(file media.File) string {
	mime, _, _ := strings.Cut(file.Type, ";")
	return mime
}

// sendable returns media in the form that telebot sends.
func sendable(f form, kind string, file media.File, r io.Reader, caption string) tele.Sendable {
	content, name := tele.FromReader(r), file.Name
	if name == "" {
		name = "file"
	}
	mime := baseType(file)
	if f == asIs {
		switch mime {
		case "image/jpeg", "image/png", "image/webp":
			if file.Size <= maxPhoto {
				return &tele.Photo{File: content, Caption: caption}
			}
		case "audio/ogg", "audio/mpeg", "audio/mp4":
			if kind == "audio" {
				return &tele.Voice{File: content, Caption: caption}
			}
		}
	}
	d := &tele.Document{File: content, Caption: caption, FileName: name, MIME: mime}
	d.DisableTypeDetection = f != asIs
	return d
}
