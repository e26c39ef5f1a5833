package telegram

import (
	"context"
	"errors"
	"log/slog"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
)

// sendEdit brings a corrected text to where the old one stands. What has no place there, or a place that cannot be changed any
// more, is sent as an answer to the old text.
func (b *Bridge) sendEdit(ctx context.Context, row models.OutboxRow) error {
	o := outgoing{row: row}
	links, err := b.store.LinksOf(ctx, row.MessageID)
	if err == nil {
		o.message, err = b.store.Message(ctx, row.MessageID)
	}
	if err == nil {
		o.thread, err = b.store.Thread(ctx, row.ThreadID)
	}
	if err == nil {
		o.names, _, err = b.store.TelegramThread(ctx, row.ThreadID)
	}
	switch {
	case errors.Is(err, models.ErrNotFound), err == nil && len(links) == 0: // deleted, or never sent from here
		return b.store.OutboxDone(ctx, row.ID)
	case err != nil:
		return err
	}
	media := o.message.ContentType != "text"
	list := b.compose(&o, asIs, media)
	for i, p := range list {
		if i < len(links) {
			done, err := b.change(ctx, links[i], media && i == 0, p)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		p.sign = "✏️"
		if err := b.answerOld(ctx, &o, links[0], p); err != nil {
			return err
		}
	}
	for _, link := range links[min(len(list), len(links)):] { // it has become shorter
		params := map[string]any{"chat_id": link.ChatID, "message_id": link.TelegramMessageID}
		if err := b.api.raw(ctx, callTimeout, "deleteMessage", params, nil); err != nil && judge(err) != refused {
			return err
		}
	}
	return b.store.OutboxDone(ctx, row.ID)
}

// change replaces what a message says. It is not done if Telegram will never do it.
func (b *Bridge) change(ctx context.Context, link models.TelegramLink, caption bool, p part) (done bool, err error) {
	params := map[string]any{"chat_id": link.ChatID, "message_id": link.TelegramMessageID, "parse_mode": tele.ModeHTML}
	method, field := "editMessageText", "text"
	if caption {
		method, field = "editMessageCaption", "caption"
	}
	params[field] = p.html()
	err = b.api.raw(ctx, callTimeout, method, params, nil)
	switch {
	case err == nil || unchanged(err):
		return true, nil
	case judge(err) == refused:
		return false, nil
	}
	return false, err
}

// answerOld sends a part as an answer to the message that it corrects.
func (b *Bridge) answerOld(ctx context.Context, o *outgoing, old models.TelegramLink, p part) error {
	options := &tele.SendOptions{
		ParseMode: tele.ModeHTML, DisableWebPagePreview: true, ThreadID: int(old.TopicID),
		ReplyTo: &tele.Message{ID: int(old.TelegramMessageID)}, AllowWithoutReply: true,
	}
	o.names.TopicID = old.TopicID
	err := b.noted(ctx, o, false, func(ctx context.Context) (int64, error) { return b.post(ctx, sendTimeout, p.html(), options) })
	if v := judge(err); err != nil && (v == refused || v == topicGone || v == topicClosed) {
		b.log.Warn("telegram: a correction was refused; it stands in the console only", slog.Int64("message_id", o.message.ID), slog.Any("error", err))
		return nil
	}
	return err
}
