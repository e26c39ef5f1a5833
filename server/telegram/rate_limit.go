package telegram

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/time/rate"

	"sohbet/server/outbox"
)

// Limits according to https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: about one message per second to
// one chat with short bursts, twenty per minute to a group, thirty per second in total.
const (
	chatBurst    = 5
	groupMinute  = 20
	globalSecond = 30
	reserved     = 10 // one slot in ten is reserved for sign-in codes
)

// Pace is the rate limit of a chat. The zero value is the one documented by Telegram for its kind.
type Pace struct {
	Count int
	Per   time.Duration
	Off   bool // no limit of our own: only Telegram's responses limit it
}

var errFlooded = errors.New("telegram: the rate limit of the chat is exceeded")

// newPace returns the pace of the operators' chat.
func newPace(p Pace, chat int64, now func() time.Time) *outbox.Pace {
	limit := outbox.Limit{Rates: []*rate.Limiter{rate.NewLimiter(globalSecond, globalSecond)}}
	switch {
	case p.Off:
	case p.Count > 0:
		limit.Count, limit.Per = p.Count, p.Per
	default:
		limit.Rates = append(limit.Rates, rate.NewLimiter(1, chatBurst))
		if chat < 0 {
			limit.Count, limit.Per = groupMinute, time.Minute
		}
	}
	limit.Reserve = limit.Count / reserved
	limit.Burst = min(chatBurst, limit.Count-limit.Reserve)
	return outbox.NewPace(limit, now)
}

// slots returns rate limit slots for successive calls.
type slots func(context.Context) (*outbox.Slot, error)

// slots starts with the slot of a delivery.
func (b *Bridge) slots(first *outbox.Slot) slots {
	return func(ctx context.Context) (*outbox.Slot, error) {
		if slot := first; slot != nil {
			first = nil
			return slot, nil
		}
		return b.pace.Take(ctx, outbox.More)
	}
}

// urgent returns slots for calls that are not queued behind others, such as the answer to a command. It waits for most and then
// proceeds without a slot, unless Telegram asked for a pause.
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
		return nil, nil // no slot
	}
}

// paced makes a call once there is a slot. A call in progress may outlast ctx by lastCall: if it were aborted, it might be repeated.
func (b *Bridge) paced(ctx context.Context, take slots, do func(context.Context) error) error {
	slot, err := take(ctx)
	if err != nil {
		return err
	}
	defer slot.Cancel()
	ctx, cancel := outbox.WithGrace(ctx, lastCall)
	defer cancel()
	err = do(ctx)
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" { // otherwise the call certainly did not arrive
		slot.Done()
	}
	return err
}

// lastCall is how long a call may continue during a shutdown.
const lastCall = 4 * time.Second
