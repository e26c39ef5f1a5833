package auth

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"
)

// password is that of an account "admin".
type password struct {
	*Passwords
	hash string
}

func newPassword(t *testing.T, secret string) password {
	t.Helper()
	hash, err := HashPassword(secret)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPasswords(hash, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return password{p, hash}
}

func (p password) enter(ctx context.Context, username, entered, browser, address string) (bool, error) {
	a := Attempt{Password: entered, Browser: browser, Address: address}
	if username == "admin" {
		a.Hash = p.hash
	}
	return p.Check(ctx, a)
}

// TestPasswordsOfUnknownAccounts checks that a name without an account, an account without a password and one whose hash is unreadable cost
// as much as a wrong password, and are never right.
func TestPasswordsOfUnknownAccounts(t *testing.T) {
	for _, like := range []string{"", hashed(t, "open sesame")} {
		p, err := NewPasswords(like, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := p.Hash("open sesame")
		if err != nil {
			t.Fatal(err)
		}
		params, _, _, err := argon2id.DecodeHash(hash)
		if err != nil {
			t.Fatal(err)
		}
		if decoy, _, _, err := argon2id.DecodeHash(p.decoy); err != nil || *decoy != *params {
			t.Errorf("compared with %+v, %v, instead of %+v", decoy, err, params)
		}
		for _, stored := range []string{"", "⚠", p.decoy} {
			for _, entered := range []string{"", "open sesame", stored} {
				if right, err := p.Check(t.Context(), Attempt{Password: entered, Hash: stored, Browser: "b"}); right || err != nil {
					t.Errorf("%q for %q: %v, %v", entered, stored, right, err)
				}
			}
		}
	}
}

// TestTriesPerAccount has always new addresses try passwords of one account.
func TestTriesPerAccount(t *testing.T) {
	p := newPassword(t, hashed(t, "open sesame"))
	enter := func(account, entered, browser, address string) error {
		_, err := p.Check(t.Context(), Attempt{Password: entered, Hash: p.hash, Account: account, Browser: browser, Address: address})
		return err
	}
	for i := range accountTries {
		if err := enter("1", "x", "", fmt.Sprint("address ", i)); err != nil {
			t.Fatalf("try %d: %v", i, err)
		}
		if err := enter("2", "open sesame", "", fmt.Sprint("other address ", i)); err != nil { // right ones are not counted
			t.Fatalf("right try %d: %v", i, err)
		}
	}
	if err := enter("1", "open sesame", "", "one more"); !errors.As(err, new(Limited)) {
		t.Errorf("one more try: %v", err)
	}
	if err := enter("1", "open sesame", "browser", "one more"); err != nil {
		t.Errorf("a browser that signed in before: %v", err)
	}
	if err := enter("2", "x", "", "another"); err != nil {
		t.Errorf("another account: %v", err)
	}
}

// TestPasswordChecksAreBounded fills the queue for unknown browsers: further ones are refused without computing a hash, and a known
// browser is not affected.
func TestPasswordChecksAreBounded(t *testing.T) {
	p := newPassword(t, "open sesame")
	p.strangers.running = true
	for i := range checksWaiting {
		w := &waiter{key: fmt.Sprint(i), turn: make(chan struct{})}
		if !p.strangers.join(w) {
			t.Fatal("no place")
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.TotalAlloc
	for i := range 30 {
		if _, err := p.enter(t.Context(), "admin", "x", "", fmt.Sprint("another ", i)); !errors.As(err, new(Limited)) {
			t.Fatalf("one more unknown browser: %v", err)
		}
	}
	runtime.ReadMemStats(&m)
	if spent := m.TotalAlloc - before; spent > 5<<20 {
		t.Errorf("sending 30 away took %d bytes, as if passwords had been hashed", spent)
	}
	if ok, err := p.enter(t.Context(), "admin", "open sesame", "browser", "192.0.2.1"); !ok || err != nil {
		t.Errorf("the owner's browser: %v, %v", ok, err)
	}
}

// TestRightPasswordDuringAnAttack has other addresses try any number of wrong passwords.
func TestRightPasswordDuringAnAttack(t *testing.T) {
	for _, strangers := range []int{62, 600} {
		p := newPassword(t, hashed(t, "open sesame"))
		for i := range strangers {
			address := fmt.Sprintf("198.51.%d.%d", i/250, i%250)
			if ok, err := p.enter(t.Context(), "admin", "x", "", address); ok || err != nil {
				t.Fatalf("attempt %d: %v, %v", i, ok, err)
			}
		}
		if ok, err := p.enter(t.Context(), "admin", "open sesame", "", "192.0.2.1"); !ok || err != nil {
			t.Errorf("after %d attempts of other addresses, the right password from a new address: %v, %v", strangers, ok, err)
		}
	}
}

// TestFurtherTriesShareABudget makes many attempts from few addresses.
func TestFurtherTriesShareABudget(t *testing.T) {
	p := newPassword(t, hashed(t, "open sesame"))
	now := time.Now()
	p.first.now, p.further.now = func() time.Time { return now }, func() time.Time { return now }
	checked := 0
	const addresses = 10
	for i := range 300 {
		_, err := p.enter(t.Context(), "admin", "x", "", fmt.Sprint(i%addresses))
		switch {
		case err == nil:
			checked++
		case !errors.As(err, new(Limited)):
			t.Fatal(err)
		}
	}
	if want := addresses*preferredTries + furtherTries; checked != want {
		t.Errorf("%d were checked, want %d", checked, want)
	}
	for range 10 { // right passwords take no tokens from an address
		if ok, err := p.enter(t.Context(), "admin", "open sesame", "", "192.0.2.1"); !ok || err != nil {
			t.Fatalf("the right password from a new address: %v, %v", ok, err)
		}
	}
	if ok, err := p.enter(t.Context(), "admin", "open sesame", "browser", "0"); !ok || err != nil {
		t.Errorf("a known browser at an address that tried much: %v, %v", ok, err)
	}
}

const oneCheck = 30 * time.Millisecond

// flood starts checks of unknown browsers, one per interval, until the context ends.
func flood(ctx context.Context, q *checkQueue, every time.Duration, preferred bool, wg *sync.WaitGroup) {
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			wg.Go(func() {
				_ = q.run(ctx, fmt.Sprint("stranger ", preferred, i), preferred, func() error { time.Sleep(oneCheck); return nil })
			})
			time.Sleep(every)
		}
	})
}

// TestQueueUnderAFlood measures, with a fake clock, how long a new address waits while others send checks of 30 ms.
func TestQueueUnderAFlood(t *testing.T) {
	for _, tc := range []struct {
		name      string
		every     time.Duration
		preferred bool
		longest   time.Duration
	}{
		{"62 new addresses a minute", time.Minute / 62, true, 2 * oneCheck},
		{"600 new addresses a minute", time.Minute / 600, true, 2 * oneCheck},
		{"3,000 known addresses a minute", time.Minute / 3000, false, 4 * oneCheck},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				q := newCheckQueue(true)
				var wg sync.WaitGroup
				flood(ctx, q, tc.every, tc.preferred, &wg)
				for range 20 {
					time.Sleep(2900 * time.Millisecond)
					start := time.Now()
					if err := q.run(ctx, "owner", true, func() error { return nil }); err != nil || time.Since(start) > tc.longest {
						t.Errorf("after %v: %v", time.Since(start), err)
					}
				}
				stop()
				wg.Wait()
			})
		})
	}
}

// TestQueueIsBounded sends three times as many checks as a queue can process: it works half of the time, few checks wait, none too
// long, and it is empty in the end.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		q := newCheckQueue(true)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var served, refused, running, most int
		var longest time.Duration
		for i := range 3000 {
			wg.Go(func() {
				start := time.Now()
				err := q.run(ctx, fmt.Sprint(i), true, func() error {
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					time.Sleep(oneCheck)
					mu.Lock()
					running--
					served++
					mu.Unlock()
					return nil
				})
				mu.Lock()
				defer mu.Unlock()
				if errors.As(err, new(Limited)) {
					refused++
				}
				longest = max(longest, time.Since(start))
			})
			time.Sleep(20 * time.Millisecond)
		}
		wg.Wait()
		if busy := time.Duration(served) * oneCheck; busy > 31*time.Second || busy < 25*time.Second {
			t.Errorf("%v of a minute were spent", busy)
		}
		if most != 1 || refused < 1500 || longest > longestWait+3*oneCheck {
			t.Errorf("%d at a time, %d refused, one waited %v", most, refused, longest)
		}
		if q.running || len(q.waiting[0])+len(q.waiting[1])+len(q.of) != 0 {
			t.Errorf("left behind: %+v", q)
		}
	})
}

func TestWhoLeavesTheQueueIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newCheckQueue(false)
		nothing := func() error { return nil }
		done := make(chan error, 2)
		go func() { done <- q.run(t.Context(), "a", true, func() error { time.Sleep(time.Second); return nil }) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- q.run(ctx, "b", true, nothing) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		if err := q.run(t.Context(), "c", true, nothing); err != nil {
			t.Errorf("the next one: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("the first one: %v", err)
		}
		// An address may have two checks in the queue.
		var limited int
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range 5 {
			wg.Go(func() {
				if errors.As(q.run(t.Context(), "d", true, func() error { time.Sleep(time.Second); return nil }), new(Limited)) {
					mu.Lock()
					limited++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if limited != 5-checksOfOne {
			t.Errorf("%d of 5 of one address were refused", limited)
		}
	})
}
