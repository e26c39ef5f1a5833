package auth

import (
	"context"
	"fmt"
	"time"
)

// Limits for the total number of guessed and requested codes.
//
// A code has six digits, so one guess at a valid code succeeds with a probability of one in a million, regardless of the number of
// valid codes: a guess is made against the code of one browser. Limits per address do not stop an attacker with many addresses, so
// guesses themselves are counted, in limits that all processes share and that survive restarts ([BudgetStore]). In any 24 hours there
// are at most
//
//	25 + 24 h / 57.6 min = 50   guesses from browsers that never signed in here, in total, and
//	20 + 24 h / 72 min   = 40   guesses from browsers that did, in total,
//
// which is 90, so the probability that any succeeds is at most 9 in 100,000 per day, below the target of 1 in 10,000; an attacker
// without a stolen browser only has the first limit, 5 in 100,000. Only comparisons count: without a valid code nothing is spent.
//
// The owner is not locked out by this. A browser that signed in before has a cookie that identifies it (see [TrustedBrowsers]): it has its
// own limit, of which no other browser can use more than half, regardless of what others spend. A right code is refunded. In a new browser
// the owner shares the limit with attackers: after an attack ends, the next guess is available within an hour. During an attack a new
// browser may be refused; to avoid that, set a password: then codes are only sent after it, so attackers have no code to guess and cannot
// spend anything here. [Passwords.Check] describes how far they can delay the check of a password.
//
// Requested codes are limited in the same way, so that the agent's Telegram cannot be flooded: unknown browsers have 10 at once and
// then one per ten minutes, in total; each known browser has the same for itself.
var (
	strangerGuesses  = budget{"guess stranger", 24 * time.Hour / 25, 25}
	trustedGuesses   = budget{"guess known", 24 * time.Hour / 20, 20}
	strangerRequests = budget{"ask stranger", 10 * time.Minute, 10}
)

// Limits of one known browser.
func guessBudgetOf(browserID string) budget {
	return budget{"guess known " + browserID, 24 * time.Hour / 10, 10}
}
func requestBudgetOf(browserID string) budget {
	return budget{"ask known " + browserID, 10 * time.Minute, 10}
}

// budget is a rate limit: burst at once, and one more per every.
type budget struct {
	name  string
	every time.Duration
	burst int
}

// BudgetStore stores shared rate limits. Spend takes one token, atomically among all processes, or returns the time until there is one.
// Refund gives back n tokens.
type BudgetStore interface {
	Spend(ctx context.Context, name string, now time.Time, every time.Duration, burst int) (ok bool, wait time.Duration, err error)
	Refund(ctx context.Context, name string, every time.Duration, n int) error
}

// Limited is the error when a rate limit is exceeded.
type Limited struct{ RetryAfter time.Duration }

// Error implements error.
func (e Limited) Error() string {
	return fmt.Sprintf("auth: budget spent, more in %s", e.RetryAfter.Round(time.Second))
}

// guessBudgets and requestBudgets return the limits that a browser spends: its own first, so that once it is spent the shared one is not
// charged.
func guessBudgets(browserID string) []budget {
	if browserID == "" {
		return []budget{strangerGuesses}
	}
	return []budget{guessBudgetOf(browserID), trustedGuesses}
}

func requestBudgets(browserID string) []budget {
	if browserID == "" {
		return []budget{strangerRequests}
	}
	return []budget{requestBudgetOf(browserID)}
}

// spend takes one token of each limit, or of none.
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
