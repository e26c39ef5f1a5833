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
)

// form is how a message is sent. When Telegram refuses one form for good, the next is tried, so that no message stops its
// thread.
type form uint8

const (
	asIs     form = iota
	asFile        // media as a document, which Telegram does not look into
	asPlain       // text without markup, media as a word
	asNotice      // that there is a message
)

const (
	maxPhoto = 10 << 20 // bytes that the cloud's server takes
	maxFile  = 50 << 20
)

// outgoing is one message on its way.
type outgoing struct {
	row     models.OutboxRow
	message models.Message
	thread  models.Thread
	names   models.TelegramThread
	fresh   bool // the first that Telegram hears of the thread
}

// sendMessage sends what is left of a message.
func (b *Bridge) sendMessage(ctx context.Context, row models.OutboxRow, f form) error {
	o := outgoing{row: row}
	var err error
	if o.message, err = b.store.Message(ctx, row.MessageID); err == nil {
		if o.thread, err = b.store.Thread(ctx, row.ThreadID); err == nil {
			o.names, o.fresh, err = b.store.TelegramThread(ctx, row.ThreadID)
		}
	}
	if errors.Is(err, models.ErrNotFound) { // deleted meanwhile
		return b.store.OutboxDone(ctx, row.ID)
	}
	if err != nil {
		return err
	}
	for mended := 0; ; f++ {
		err := b.sendForm(ctx, &o, f)
		if errors.Is(err, errAgain) && mended < 2 {
			mended++
			f--
			continue
		}
		if err == nil || judge(err) != refused {
			return err
		}
		b.log.Warn("telegram: a message was refused", slog.Int64("message_id", o.message.ID), slog.Int("form", int(f)), slog.Any("error", err))
		if f == asNotice {
			b.log.Error("telegram: a message can be shown in no form; it stands in the console only", slog.Int64("message_id", o.message.ID))
			return b.store.OutboxDone(ctx, row.ID)
		}
	}
}

// sendForm sends the parts of a message that are not there yet, in one form.
func (b *Bridge) sendForm(ctx context.Context, o *outgoing, f form) error {
	body, file, err := b.open(ctx, o.message, f)
	if err != nil {
		return err
	}
	if body != nil {
		defer func() { _ = body.Close() }()
	}
	list := b.compose(o, f, body != nil)
	for i, p := range list {
		withMedia := body != nil && o.row.Parts == 0
		var what any = p.html()
		options := &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true}
		timeout := sendTimeout
		switch {
		case withMedia:
			what, timeout = sendable(f, o.message.ContentType, file, body, p.html()), uploadTimeout
		case f >= asPlain:
			what, options.ParseMode = p.plain(), ""
		}
		err := b.noted(ctx, o, i == len(list)-1, func(ctx context.Context) (int64, error) {
			return b.sendPart(ctx, o, what, options, timeout, withMedia)
		})
		if err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return b.store.OutboxDone(ctx, o.row.ID)
	}
	if o.thread.Status == models.StatusClosed && o.names.TopicID != 0 {
		if err := b.syncTopic(ctx, o.thread.ID); err != nil {
			b.log.Warn("telegram: the topic of a closed conversation was not closed again", slog.Any("error", err))
		}
	}
	return nil
}

// noted sends something of a message once there is room for it, and notes it.
func (b *Bridge) noted(ctx context.Context, o *outgoing, last bool, send func(context.Context) (int64, error)) error {
	if err := b.pace.wait(ctx); err != nil {
		return err
	}
	b.sending.Lock()
	defer b.sending.Unlock()
	ctx, done := outlast(ctx)
	defer done()
	id, err := send(ctx)
	if err != nil {
		return err
	}
	b.state.sent.Add(1)
	err = b.record(ctx, o.row, models.TelegramLink{
		ThreadID: o.thread.ID, MessageID: o.message.ID, ChatID: int64(b.to()), TelegramMessageID: id, TopicID: o.names.TopicID, CreatedAt: b.now().UTC(),
	}, last)
	o.row.Parts++
	if err == nil && last && o.message.SenderType == models.Visitor {
		if err := b.chat.Delivered(ctx, operator, o.thread.ID, o.message.ID); err != nil {
			b.log.Warn("telegram: the visitor is not told that a message arrived", slog.Any("error", err))
		}
	}
	return err
}

// lastCall is how long what is being sent may go on when the process stops: cut off, it would be sent again.
const lastCall = 4 * time.Second

// outlast gives a context that goes on for a while after ctx.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		_ = sleep(longer, lastCall) // what ends it ends this
		cancel()
	})
	return longer, func() { unhook(); cancel() }
}

// sendPart sends one part to where its thread is, making or mending the topic. once tells that what can be sent one time only.
func (b *Bridge) sendPart(ctx context.Context, o *outgoing, what any, options *tele.SendOptions, timeout time.Duration, once bool) (int64, error) {
	for try := 0; ; try++ {
		made := o.names.TopicID
		if err := b.topic(ctx, o.thread, &o.names); err != nil {
			if v := judge(err); v != topicGone || try > 1 {
				return 0, err
			}
			if err := b.forgetTopic(ctx, &o.names); err != nil {
				return 0, err
			}
			continue
		}
		options.ThreadID, options.ReplyMarkup = int(o.names.TopicID), nil
		if o.row.Parts == 0 && (o.fresh || o.names.TopicID != made) && o.message.SenderType == models.Visitor {
			options.ReplyMarkup = b.threadButtons(b.locale, o.names.ShortID, false)
		}
		id, err := b.post(ctx, timeout, what, options)
		v := judge(err)
		if err == nil || v != topicGone && v != topicClosed || try > 1 {
			if err != nil && v == topicGone && o.names.TopicID == 0 {
				err = fmt.Errorf("%w (no topic was named)", err)
			}
			return id, err
		}
		if v == topicGone {
			b.log.Info("telegram: a topic is gone; making another")
			err = b.forgetTopic(ctx, &o.names)
		} else if err = b.reopenTopic(ctx, &o.names); judge(err) == topicGone && err != nil {
			err = b.forgetTopic(ctx, &o.names)
		}
		if err != nil {
			return 0, err
		}
		if once {
			return 0, errAgain // its file has been read
		}
	}
}

// errAgain asks for the same row at once, now that its topic is there.
var errAgain = errors.New("telegram: the topic was mended")

// post sends one message to the operator's chat.
func (b *Bridge) post(ctx context.Context, timeout time.Duration, what any, options *tele.SendOptions) (int64, error) {
	id, err := b.api.send(ctx, timeout, b.to(), what, options)
	b.pace.done()
	return id, err
}

// compose cuts a message into parts and returns those that are still to be sent. The cut is the same in every form, as some
// parts may have been sent in another one.
func (b *Bridge) compose(o *outgoing, f form, withMedia bool) []part {
	sign, name := "💬", topicName(o.thread)
	if o.message.SenderType == models.Admin {
		sign, name = "🖥", strings.ReplaceAll(say(b.locale, "console"), "{name}", name)
	}
	tag, first := tagPrefix+o.names.ShortID, maxText
	if f == asNotice {
		return []part{{sign: sign, name: name, body: say(b.locale, "unshowable"), tag: tag}}
	}
	if o.message.ContentType != "text" {
		first = maxCaption
	}
	list := parts(sign, name, tag, o.message.ContentText, first)
	if o.message.ContentType != "text" && !withMedia {
		list[0].body = strings.TrimSpace(b.mediaWord(o.message) + "\n" + list[0].body)
	}
	return list[min(o.row.Parts, len(list)):]
}

// mediaWord stands in for media that cannot be sent.
func (b *Bridge) mediaWord(m models.Message) string {
	word := say(b.locale, map[string]string{"image": "picture", "audio": "voice"}[m.ContentType])
	if word == "" {
		word = say(b.locale, "file")
	}
	if strings.HasPrefix(m.FileURL, "https://") || strings.HasPrefix(m.FileURL, "http://") {
		word += " " + m.FileURL
	}
	return word
}

// open opens the file of a message, if it has one that Telegram takes in this form.
func (b *Bridge) open(ctx context.Context, m models.Message, f form) (io.ReadCloser, media.File, error) {
	if f >= asPlain || m.ContentType == "text" || m.FileURL == "" || b.files == nil {
		return nil, media.File{}, nil
	}
	r, file, err := b.files.Open(ctx, m.FileURL)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, media.File{}, ctx.Err()
	case err != nil:
		b.log.Warn("telegram: a file cannot be opened; its message goes without it", slog.Int64("message_id", m.ID), slog.Any("error", err))
		return nil, media.File{}, nil
	case file.Size > maxFile:
		_ = r.Close()
		return nil, media.File{}, nil
	}
	return r, file, nil
}

// sendable is media as telebot sends it.
func sendable(f form, kind string, file media.File, r io.Reader, caption string) tele.Sendable {
	content, name := tele.FromReader(r), file.Name
	if name == "" {
		name = "file"
	}
	mime, _, _ := strings.Cut(file.Type, ";")
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
