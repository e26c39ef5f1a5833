package telegram

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"sohbet/models"
	"sohbet/server/outbox"
)

const (
	sendWorkers  = 16          // conversations that are sent at a time; a call that hangs holds one of them
	sendAlone    = time.Second // of a call, before the next one begins: the pace allows about one a second anyway
	sendTries    = 6           // of a message, while others arrive, before it is set aside
	plainerAfter = 4           // failures of unclear cause, after which plainer forms of a message are tried
	storeRetry   = time.Second // after an error of our own database
	topicEvery   = 10 * time.Second
)

// newSender makes what empties the outbox.
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

// channel is the bridge as the outbox sees it.
type channel struct{ *Bridge }

// Send sends what the first row asks for.
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

// failed is the outcome of an error of a call.
func (b *Bridge) failed(err error) outbox.Outcome {
	out := outbox.Outcome{Err: err, Reason: reasonOf(err)}
	switch judge(err) {
	case flooded:
		out.Scope = outbox.Pause
		return out
	case lockedOut:
		out.Scope = outbox.Whole
	}
	b.state.failed.Add(1)
	b.forgetForum() // what the bot may do can have changed
	return out
}

// notRead is the outcome of an error of our own database: no fault of Telegram's or of the row.
func (b *Bridge) notRead(ctx context.Context, err error) outbox.Outcome {
	if ctx.Err() == nil && !errors.Is(err, models.ErrNotFound) { // else the thread was deleted meanwhile, and its rows with it
		b.log.Warn("telegram: what is to be sent cannot be read yet", slog.Any("error", err))
	}
	return outbox.Outcome{Wait: storeRetry}
}

// slots gives room for one call after the other.
type slots func(context.Context) (*outbox.Slot, error)

// slots begins with the slot that a delivery has.
func (b *Bridge) slots(first *outbox.Slot) slots {
	return func(ctx context.Context) (*outbox.Slot, error) {
		if slot := first; slot != nil {
			first = nil
			return slot, nil
		}
		return b.pace.Take(ctx, outbox.More)
	}
}

// urgent gives room to what does not queue behind the others, such as the answer to a command. It waits for most and then
// goes ahead all the same, unless Telegram asked for silence.
func (b *Bridge) urgent(most time.Duration) slots {
	return func(ctx context.Context) (*outbox.Slot, error) {
		soon, cancel := context.WithTimeout(ctx, most)
		defer cancel()
		slot, err := b.pace.Take(soon, outbox.Urgent)
		switch {
		case err == nil:
			return slot, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case b.pace.Paused() > 0:
			return nil, errFlooded
		}
		return nil, nil // an ended slot of none
	}
}

// paced makes a call once there is room for it. What has begun may outlast ctx for a moment: cut off, it would be done
// twice.
func (b *Bridge) paced(ctx context.Context, take slots, do func(context.Context) error) error {
	slot, err := take(ctx)
	if err != nil {
		return err
	}
	defer slot.Cancel()
	ctx, cancel := outbox.Outlast(ctx, lastCall)
	defer cancel()
	err = do(ctx)
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" { // else it has certainly not arrived
		slot.Done()
	}
	return err
}

// lastCall is how long a call may go on when the process stops.
const lastCall = 4 * time.Second
