package telegram

import (
	"errors"
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
