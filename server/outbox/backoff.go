package outbox

import (
	"context"
	"math/rand/v2"
	"time"
)

// WithGrace returns a context that ends d after ctx.
func WithGrace(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		_ = Sleep(longer, d) // ends early if longer is cancelled
		cancel()
	})
	return longer, func() { unhook(); cancel() }
}

// Backoff doubles with each attempt up to a maximum, with a random deviation of up to a quarter, so that retries do not synchronize.
func Backoff(tries int, most time.Duration) time.Duration {
	d := min(backoffLow<<min(tries, 20), most)
	return d - d/4 + time.Duration(rand.Int64N(int64(d)/2+1))
}

// Sleep waits for d, or until ctx ends, and returns ctx's error.
func Sleep(ctx context.Context, d time.Duration) error {
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
