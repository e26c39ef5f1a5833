package telegram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/server/outbox"
)

// errUnanswered means that a reply to the operator may not have arrived.
var errUnanswered = errors.New("telegram: a reply to the operator may not have arrived")

// onlyOnce ignores the failure of a reply, so that the operator's command is not executed again: if only the response was lost, the
// reply has arrived.
func (b *Bridge) onlyOnce(err error) error {
	if errors.Is(err, errUnanswered) && !errors.Is(err, errNotSaved) {
		b.log.Warn("telegram: a command was executed, but the reply may not have arrived", slog.Any("error", err))
		return nil
	}
	return err
}

// answer replies to the operator in the same topic.
func (b *Bridge) answer(ctx context.Context, m *tele.Message, text string, markup *tele.ReplyMarkup) error {
	_, err := b.reply(ctx, m, text, markup)
	return err
}

// reply is like answer and returns the message's id, 0 if there is none. A reply that Telegram will never accept is logged and not
// retried; one that certainly did not arrive is retried; any other failure is an errUnanswered.
func (b *Bridge) reply(ctx context.Context, m *tele.Message, text string, markup *tele.ReplyMarkup) (id int64, err error) {
	options := &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true, AllowWithoutReply: true, ReplyMarkup: markup}
	chat := b.recipient()
	to := chat
	switch {
	case b.isPrivate(m):
		to = chatID(m.Chat.ID)
	case m.Chat != nil && m.Chat.ID == int64(chat): // otherwise it is from before the group became a supergroup
		options.ReplyTo, options.ThreadID = &tele.Message{ID: m.ID}, topicOf(m)
	}
	for try := 0; ; try++ {
		id, err = b.postTo(ctx, to, b.urgent(urgentWait), callTimeout, text, options)
		if !notArrived(err) || try+1 == actTries {
			break
		}
		if outbox.Sleep(ctx, outbox.Backoff(try, receiveRetry)) != nil {
			break
		}
	}
	if to == chat && b.followed(ctx, chat, err) {
		return b.reply(ctx, m, text, markup)
	}
	switch v := classify(err); {
	case err == nil:
		return id, nil
	case v != passing && v != flooded:
		b.log.Warn("telegram: failed to reply to the operator", slog.Any("error", err))
		return 0, nil
	case ctx.Err() != nil && notArrived(err): // during a shutdown: the next process handles the update
		return 0, fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return 0, fmt.Errorf("%w: %w", errUnanswered, err)
}

// notArrived reports whether a call certainly had no effect at Telegram.
func notArrived(err error) bool {
	var dial *net.OpError
	return err != nil && (errors.As(err, &dial) && dial.Op == "dial" || errors.Is(err, errFlooded) || classify(err) == flooded)
}

// hintEvery is the minimum interval between hints that a message was not forwarded.
const hintEvery = time.Minute

// hints throttles the replies to messages that were not forwarded to a visitor.
type hints struct {
	mu   sync.Mutex
	last time.Time
	held *tele.Message // the latest one without a reply
	text string
}

// hint replies to the operator that a message was not forwarded: immediately, or at most once per hintEvery.
func (b *Bridge) hint(ctx context.Context, m *tele.Message, text string) error {
	b.hints.mu.Lock()
	if b.now().Sub(b.hints.last) < hintEvery {
		b.hints.held, b.hints.text = m, text
		b.hints.mu.Unlock()
		return nil
	}
	b.hints.last, b.hints.held = b.now(), nil
	b.hints.mu.Unlock()
	return b.answer(ctx, m, text, nil)
}

// heldHint sends the reply that was held back, if it is due.
func (b *Bridge) heldHint(ctx context.Context) {
	b.hints.mu.Lock()
	m, text := b.hints.held, b.hints.text
	if m == nil || b.now().Sub(b.hints.last) < hintEvery {
		b.hints.mu.Unlock()
		return
	}
	b.hints.mu.Unlock()
	if err := b.hint(ctx, m, text); err != nil && ctx.Err() == nil {
		b.log.Warn("telegram: failed to reply to the operator", slog.Any("error", err))
	}
}
