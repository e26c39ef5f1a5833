package telegram

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: about one message per second into
// one chat with short bursts, twenty per minute into a group, thirty per second in all.
const (
	chatBurst    = 5
	groupMinute  = 20
	globalSecond = 30
)

// Pace is how many messages a chat takes. The zero value is what Telegram documents for its kind.
type Pace struct {
	Count int
	Per   time.Duration
	Off   bool // no limit of ours: only what Telegram answers counts
}

var errFlooded = errors.New("telegram: the chat takes no more messages for a while")

// pace spaces out messages.
type pace struct {
	now    func() time.Time
	global *rate.Limiter
	chat   *rate.Limiter // nil = none
	window time.Duration

	mu    sync.Mutex
	sent  []time.Time // when the last messages of a window were sent, oldest first; nil = no such limit
	until time.Time   // Telegram said to wait so long
}

func newPace(p Pace, chat int64, now func() time.Time) *pace {
	out := &pace{now: now, global: rate.NewLimiter(globalSecond, globalSecond)}
	switch {
	case p.Off:
	case p.Count > 0:
		out.window, out.sent = p.Per, make([]time.Time, p.Count)
	case chat < 0:
		out.chat = rate.NewLimiter(1, chatBurst)
		out.window, out.sent = time.Minute, make([]time.Time, groupMinute)
	default:
		out.chat = rate.NewLimiter(1, chatBurst)
	}
	return out
}

// wait waits for room for one message.
func (p *pace) wait(ctx context.Context) error {
	for {
		d := p.closed()
		if d <= 0 {
			d = p.crowded()
		}
		if d <= 0 {
			break
		}
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
	if err := p.global.Wait(ctx); err != nil {
		return err
	}
	if p.chat != nil {
		return p.chat.Wait(ctx)
	}
	return nil
}

// open waits for what Telegram said.
func (p *pace) open(ctx context.Context) error { return sleep(ctx, p.closed()) }

// urgent counts a message that does not queue up behind the others, such as the answer to a command. It waits for what Telegram
// said if that is soon enough.
func (p *pace) urgent(ctx context.Context, most time.Duration) error {
	if d := p.closed(); d > most {
		return errFlooded
	} else if err := sleep(ctx, d); err != nil {
		return err
	}
	p.global.ReserveN(p.now(), 1)
	if p.chat != nil {
		p.chat.ReserveN(p.now(), 1)
	}
	return nil
}

// closed is how long Telegram wants to be left alone.
func (p *pace) closed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until.Sub(p.now())
}

// crowded is how long it takes until the window has room.
func (p *pace) crowded() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sent) == 0 || p.sent[0].IsZero() {
		return 0
	}
	return p.sent[0].Add(p.window).Sub(p.now())
}

// done counts a message into the window once it is there: Telegram counts when it arrives.
func (p *pace) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sent) > 0 {
		p.sent = append(p.sent[1:], p.now())
	}
}

// flood notes that Telegram wants to be left alone.
func (p *pace) flood(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := p.now().Add(max(d, time.Second)); until.After(p.until) {
		p.until = until
	}
}

// sleep waits, or less if ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// told heeds what Telegram answered.
func (p *pace) told(err error) {
	var e *apiError
	if errors.As(err, &e) && judge(err) == flooded {
		p.flood(e.RetryAfter)
	}
}
