package auth

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"
)

func newPassword(t *testing.T, secret string) *Password {
	t.Helper()
	p, err := NewPassword("admin", secret, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPasswordChecksAreBounded lets a crowd try passwords at once: few are checked, the rest is sent away at once, and a
// browser that is known does not notice.
func TestPasswordChecksAreBounded(t *testing.T) {
	p := newPassword(t, "open sesame")
	// The strangers' lane is taken by one check that does not end, and four wait.
	for range 1 + checksWaiting {
		p.strangers.waiting <- struct{}{}
	}
	p.strangers.running <- struct{}{}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.TotalAlloc
	for range 30 {
		if _, err := p.Check(t.Context(), "admin", "x", false); !errors.As(err, new(Limited)) {
			t.Fatalf("one more stranger: %v", err)
		}
	}
	runtime.ReadMemStats(&m)
	if spent := m.TotalAlloc - before; spent > 5<<20 {
		t.Errorf("sending 30 away took %d bytes, as if passwords had been hashed", spent)
	}
	if ok, err := p.Check(t.Context(), "admin", "open sesame", true); !ok || err != nil {
		t.Errorf("the owner's browser: %v, %v", ok, err)
	}
	<-p.strangers.waiting
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := p.Check(ctx, "admin", "open sesame", false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waits too long: %v", err)
	}
}

func TestPasswordPace(t *testing.T) {
	p := newPassword(t, "open sesame")
	now := time.Now()
	p.pace.now = func() time.Time { return now }
	var wg sync.WaitGroup
	var mu sync.Mutex
	var limited int
	for range 3 * strangersPace {
		wg.Go(func() {
			_, err := p.Check(t.Context(), "admin", "x", false)
			mu.Lock()
			defer mu.Unlock()
			if errors.As(err, new(Limited)) {
				limited++
			}
		})
	}
	wg.Wait()
	if limited < 2*strangersPace {
		t.Errorf("%d of %d were checked within a moment", 3*strangersPace-limited, 3*strangersPace)
	}
	if ok, err := p.Check(t.Context(), "admin", "open sesame", true); !ok || err != nil {
		t.Errorf("the owner's browser: %v, %v", ok, err)
	}
}
