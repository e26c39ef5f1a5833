package telegram

import (
	"context"
	"errors"
	"log/slog"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/outbox"
)

// sendEdit updates a message in Telegram whose text was edited. If it was not sent there, or can no longer be changed, the new text is
// sent as a reply to the old message.
func (b *Bridge) sendEdit(ctx context.Context, rows []models.OutboxRow, take slots) outbox.Outcome {
	n := 1
	for n < len(rows) && rows[n].Kind == models.OutboxEdit && rows[n].MessageID == rows[0].MessageID {
		n++ // all of them have the same, current text
	}
	done := outbox.Outcome{Done: rows[:n]}
	links, err := b.store.LinksOf(ctx, rows[0].MessageID)
	if err == nil && len(links) == 0 { // was not sent by the bridge
		return done
	}
	var o *outgoing
	if err == nil {
		o, err = b.loadShown(ctx, rows[0], links)
	}
	switch {
	case errors.Is(err, models.ErrNotFound): // deleted meanwhile
		return done
	case err != nil:
		return b.notRead(ctx, err)
	}
	o.take = take
	if err := b.correct(ctx, o, links, rows[0].MessageID); errors.Is(err, errNotSaved) {
		return b.notRead(ctx, err)
	} else if err != nil {
		return b.failed(err)
	}
	return done
}

// loadShown reads the messages that are combined with a row's message in one Telegram message.
func (b *Bridge) loadShown(ctx context.Context, row models.OutboxRow, links []models.TelegramLink) (*outgoing, error) {
	row.Parts = 0
	o := &outgoing{}
	ids, err := b.store.LinkedMessages(ctx, links[0].ChatID, links[0].TelegramMessageID)
	if err == nil {
		o.thread, err = b.store.Thread(ctx, row.ThreadID)
	}
	if err == nil {
		o.names, _, err = b.store.TelegramThread(ctx, row.ThreadID)
	}
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		m, err := b.store.Message(ctx, id)
		if errors.Is(err, models.ErrNotFound) && id != row.MessageID {
			continue
		} else if err != nil {
			return nil, err
		}
		o.rows, o.messages = append(o.rows, row), append(o.messages, m)
	}
	return o, nil
}

// correct updates what Telegram shows of a message.
func (b *Bridge) correct(ctx context.Context, o *outgoing, links []models.TelegramLink, messageID int64) error {
	if len(o.messages) > 1 {
		if b.fits(o) {
			p := b.compose(o, asIs, false)[0]
			if err := b.introduced(ctx, o, links[0], maxText-units(p.plain())); err != nil {
				return err
			}
			p.info = o.info
			done, err := b.change(ctx, o, links[0], false, p)
			if done || err != nil {
				return err
			}
		}
		for i, m := range o.messages { // they have become too long for one message
			if m.ID == messageID {
				o.rows, o.messages = o.rows[i:i+1], o.messages[i:i+1]
				break
			}
		}
		for _, p := range b.compose(o, asIs, false) {
			if err := b.answerOld(ctx, o, links[0], p); err != nil {
				return err
			}
		}
		return nil
	}
	media := o.messages[0].ContentType != "text"
	list := b.compose(o, asIs, media)
	service := maxText
	if media {
		service = maxCaption
	}
	if err := b.introduced(ctx, o, links[0], service-units(list[0].plain())); err != nil {
		return err
	}
	list[0].info = o.info
	for i, p := range list {
		if i < len(links) {
			done, err := b.change(ctx, o, links[i], media && i == 0, p)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		if err := b.answerOld(ctx, o, links[0], p); err != nil {
			return err
		}
	}
	for _, link := range links[min(len(list), len(links)):] { // the text has become shorter
		if link.ChatID != int64(b.recipient()) {
			continue
		}
		params := map[string]any{"chat_id": link.ChatID, "message_id": link.TelegramMessageID}
		err := b.paced(ctx, o.take, func(ctx context.Context) error { return b.api.raw(ctx, callTimeout, "deleteMessage", params, nil) })
		if err != nil && classify(err) != refused {
			return err
		}
	}
	return nil
}

// change replaces the text of a Telegram message. done is false if Telegram will never allow it.
func (b *Bridge) change(ctx context.Context, o *outgoing, link models.TelegramLink, caption bool, p part) (done bool, err error) {
	chat := b.recipient()
	if link.ChatID != int64(chat) { // messages from before a group became a supergroup cannot be changed
		return false, nil
	}
	params := map[string]any{"chat_id": link.ChatID, "message_id": link.TelegramMessageID, "parse_mode": tele.ModeHTML}
	method, field := "editMessageText", "text"
	if caption {
		method, field = "editMessageCaption", "caption"
	}
	params[field] = p.html()
	err = b.paced(ctx, o.take, func(ctx context.Context) error { return b.api.raw(ctx, callTimeout, method, params, nil) })
	switch {
	case err == nil || unchanged(err):
		return true, nil
	case classify(err) == refused, b.followed(ctx, chat, err):
		return false, nil
	}
	return false, err
}

// answerOld sends a part as a reply to the message that it corrects.
func (b *Bridge) answerOld(ctx context.Context, o *outgoing, old models.TelegramLink, p part) error {
	p.sign, p.info, o.room = "✏️", "", 0
	options := &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true, AllowWithoutReply: true}
	if old.TopicID == o.names.TopicID && old.ChatID == int64(b.recipient()) {
		options.ReplyTo = &tele.Message{ID: int(old.TelegramMessageID)}
	}
	id, err := b.sendPart(ctx, o, func() any { return p.html() }, options, sendTimeout, false)
	if err != nil {
		return err
	}
	for _, link := range b.links(o, id) {
		if err := b.store.Link(models.WithoutLease(ctx), link); err != nil { // a retry would send it twice
			b.log.Warn("telegram: failed to store the link of a correction", slog.Any("error", err))
		}
	}
	return nil
}
