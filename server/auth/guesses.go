package auth

import (
	"context"
	"fmt"
	"time"
)

// How many codes can be guessed, and asked for, by everybody together.
//
// A code has six digits, so one guess at a live code is right with a chance of one in a million, whoever makes it and however
// many codes are live: guesses are made against the code of one browser. Limits by address do not bound an attacker who has
// any number of addresses, so guesses themselves are counted, in budgets that all processes share and that outlive them
// ([BudgetStore]). In any 24 hours there are at most
//
//	25 + 24 h / 57.6 min = 50   guesses from browsers that never signed in here, all together, and
//	20 + 24 h / 72 min   = 40   guesses from browsers that did, all together,
//
// which is 90, so that the chance of all of them is at most 9 in 100,000 a day, under the 1 in 10,000 that is wanted; an
// attacker without a stolen browser has the first budget alone, 5 in 100,000. Only comparing counts: who has no live code
// spends nothing.
//
// The owner is not locked out by that. A browser that signed in before carries a cookie that says so (see [Known]): whatever
// strangers spend, it has its own budget, of which no other browser can take more than its half. A right code gives back what
// finding it cost. In a browser that is new to this server the owner shares the strangers' budget: after an attack ends, the
// next guess is free within an hour. While one lasts, a new browser may find it spent; where that matters, set a password:
// then codes are only sent after it, so strangers have no code to guess at and cannot spend anything here. How far they can
// delay the check of a password is said at [Password.Check].
//
// Codes asked for are counted likewise, so that nobody can fill the agent's Telegram: strangers get 10 at once and then one in
// ten minutes, together; each known browser has as much for itself.
var (
	guessesOfStrangers = budget{"guess stranger", 24 * time.Hour / 25, 25}
	guessesOfKnown     = budget{"guess known", 24 * time.Hour / 20, 20}
	asksOfStrangers    = budget{"ask stranger", 10 * time.Minute, 10}
)

// Of one known browser.
func guessesOf(known string) budget { return budget{"guess known " + known, 24 * time.Hour / 10, 10} }
func asksOf(known string) budget    { return budget{"ask known " + known, 10 * time.Minute, 10} }

// budget is a number of things that may be done at once, of which one comes back every so often.
type budget struct {
	name  string
	every time.Duration
	burst int
}

// BudgetStore keeps budgets. Spend takes one, atomically among all processes, or tells after what time there will be one.
// Refund gives n back.
type BudgetStore interface {
	Spend(ctx context.Context, name string, now time.Time, every time.Duration, burst int) (ok bool, wait time.Duration, err error)
	Refund(ctx context.Context, name string, every time.Duration, n int) error
}

// Limited is the error of a budget that is spent.
type Limited struct{ RetryAfter time.Duration }

// Error says when there will be more.
func (e Limited) Error() string {
	return fmt.Sprintf("auth: budget spent, more in %s", e.RetryAfter.Round(time.Second))
}

// guesses and asks are the budgets that a browser spends of: its own first, as that must not cost others anything when it is
// spent.
func guesses(known string) []budget {
	if known == "" {
		return []budget{guessesOfStrangers}
	}
	return []budget{guessesOf(known), guessesOfKnown}
}

func asks(known string) []budget {
	if known == "" {
		return []budget{asksOfStrangers}
	}
	return []budget{asksOf(known)}
}

// spend takes one of each budget or of none.
func (c *Codes) spend(ctx context.Context, budgets []budget) error {
	for i, b := range budgets {
		ok, wait, err := c.store.Spend(ctx, b.name, c.now(), b.every, b.burst)
		if err == nil && !ok {
			err = Limited{RetryAfter: wait}
		}
		if err != nil {
			if refund := c.refund(ctx, budgets[:i], 1); refund != nil {
				return refund
			}
			return err
		}
	}
	return nil
}

func (c *Codes) refund(ctx context.Context, budgets []budget, n int) error {
	for _, b := range budgets {
		if err := c.store.Refund(ctx, b.name, b.every, n); err != nil {
			return err
		}
	}
	return nil
}
