package telegram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	tele "gopkg.in/telebot.v3"

	"sohbet/server/outbox"
)

// errUnanswered marks that a reply to the operator may not have arrived.
var errUnanswered = errors.New("telegram: the operator may not have been answered")

// onlyOnce keeps what was done from being done again because its reply failed: a reply that was lost on the way back is in
// Telegram all the same.
func (b *Bridge) onlyOnce(err error) error {
	if errors.Is(err, errUnanswered) && !errors.Is(err, errNotSaved) {
		b.log.Warn("telegram: what the operator asked for is done, but the reply may not have arrived", slog.Any("error", err))
		return nil
	}
	return err
}

// answer writes to the operator where they wrote.
func (b *Bridge) answer(ctx context.Context, m *tele.Message, text string, markup *tele.ReplyMarkup) error {
	_, err := b.reply(ctx, m, text, markup)
	return err
}

// reply is answer that gives the message's id, 0 if there is none: what Telegram will never take is logged, not tried again.
// What certainly did not arrive is sent again; any other failure is an errUnanswered.
func (b *Bridge) reply(ctx context.Context, m *tele.Message, text string, markup *tele.ReplyMarkup) (id int64, err error) {
	options := &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true, AllowWithoutReply: true, ReplyMarkup: markup}
	chat := b.to()
	if m.Chat != nil && m.Chat.ID == int64(chat) { // else it was written before the group became a supergroup
		options.ReplyTo, options.ThreadID = &tele.Message{ID: m.ID}, topicOf(m)
	}
	for try := 0; ; try++ {
		id, err = b.post(ctx, b.urgent(urgentWait), callTimeout, text, options)
		if !notArrived(err) || try+1 == actTries {
			break
		}
		if outbox.Sleep(ctx, outbox.Backoff(try, receiveRetry)) != nil {
			break
		}
	}
	if b.followed(ctx, chat, err) {
		return b.reply(ctx, m, text, markup)
	}
	switch v := judge(err); {
	case err == nil:
		return id, nil
	case v != passing && v != flooded:
		b.log.Warn("telegram: the operator could not be answered", slog.Any("error", err))
		return 0, nil
	case ctx.Err() != nil && notArrived(err): // the process stops: the next one acts on the update
		return 0, fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return 0, fmt.Errorf("%w: %w", errUnanswered, err)
}

// notArrived reports whether a call certainly did nothing at Telegram's.
func notArrived(err error) bool {
	var dial *net.OpError
	return err != nil && (errors.As(err, &dial) && dial.Op == "dial" || errors.Is(err, errFlooded) || judge(err) == flooded)
}
