package telegram

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sohbet/models"
	"sohbet/server/outbox"
)

const (
	sendWorkers  = 16          // conversations sent concurrently; a hanging call occupies one
	sendAlone    = time.Second // before the next call starts; the rate limit allows about one per second anyway
	sendTries    = 6           // attempts of a message, while others are delivered, before it is set aside
	plainerAfter = 4           // failures of unclear cause after which plainer forms of a message are tried
	storeRetry   = time.Second // after an error of the database
	topicEvery   = 10 * time.Second
)

// newSender returns the sender of the outbox.
func (b *Bridge) newSender() *outbox.Sender {
	return outbox.New(outbox.Options{
		Channel: models.ChannelTelegram, Store: b.store, Deliver: channel{b}, Pace: func(string) *outbox.Pace { return b.pace },
		Workers: sendWorkers, Alone: sendAlone, MaxTries: sendTries, Log: b.log, Now: b.now,
		Trouble: func(err error) { b.state.noted("send", err) },
		Aside: func(ctx context.Context, row models.OutboxRow, reason string) {
			b.chat.SetAside(ctx, row.ThreadID, row.MessageID, models.ChannelTelegram, reason)
		},
	})
}

// channel implements outbox.Channel.
type channel struct{ *Bridge }

// Send executes the first row.
func (c channel) Send(ctx context.Context, d outbox.Delivery) outbox.Outcome {
	take := c.slots(d.Slot)
	switch d.Rows[0].Kind {
	case models.OutboxTopic:
		return c.sendTopic(ctx, d.Rows, take)
	case models.OutboxEdit:
		return c.sendEdit(ctx, d.Rows, take)
	case models.OutboxTopicDeletion:
		return c.deleteTopic(ctx, d.Rows[0], take)
	}
	return c.sendMessages(ctx, d, take)
}

// failed returns the outcome for an error of a call.
func (b *Bridge) failed(err error) outbox.Outcome {
	out := outbox.Outcome{Err: err, Reason: reasonOf(err)}
	switch classify(err) {
	case flooded:
		out.Scope = outbox.Pause
		return out
	case lockedOut:
		out.Scope = outbox.Whole
	}
	b.state.failed.Add(1)
	b.forgetForum() // the bot's permissions may have changed
	return out
}

// notRead returns the outcome for an error of the database, which is caused by neither Telegram nor the row.
func (b *Bridge) notRead(ctx context.Context, err error) outbox.Outcome {
	if ctx.Err() == nil && !errors.Is(err, models.ErrNotFound) { // otherwise the thread was deleted meanwhile, with its rows
		b.log.Warn("telegram: failed to read messages to send", slog.Any("error", err))
	}
	return outbox.Outcome{Wait: storeRetry}
}
