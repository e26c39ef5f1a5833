package auth

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
)

func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestLimiter(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	l := NewLimiter(3, time.Minute, clk.now)
	for i := range 3 {
		if ok, wait := l.Allow("a"); !ok || wait != 0 {
			t.Fatalf("event %d: %v %v", i, ok, wait)
		}
	}
	ok, wait := l.Allow("a")
	if ok || wait < 19*time.Second || wait > 20*time.Second {
		t.Fatalf("fourth: %v, wait %v, want about 20s", ok, wait)
	}
	if ok, _ := l.Allow("b"); !ok {
		t.Error("another key shares the bucket")
	}
	clk.t = clk.t.Add(wait)
	if ok, _ := l.Allow("a"); !ok {
		t.Error("refused after the time it named: a refusal must cost nothing")
	}
	if ok, _ := l.Allow("a"); ok {
		t.Error("one token came back, two were given")
	}
	l.Forget("a")
	if ok, _ := l.Allow("a"); !ok {
		t.Error("Forget does not fill the bucket")
	}
}

func TestLimiterOfAmounts(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	l := NewLimiter(60, time.Minute, clk.now)
	shared := 0
	l.OnSpent(func(_ string, n int) { shared += n })
	if ok, _ := l.AllowN("a", 45); !ok {
		t.Error("45 of 60")
	}
	if ok, wait := l.AllowN("a", 30); ok || wait != 15*time.Second {
		t.Errorf("30 more: %v, wait %v, want 15s", ok, wait)
	}
	if ok, _ := l.AllowN("a", 15); !ok {
		t.Error("a refusal cost something")
	}
	if ok, wait := l.AllowN("b", 1000); !ok || wait != 0 {
		t.Errorf("more than a bucket holds: %v, wait %v", ok, wait)
	}
	if ok, wait := l.AllowN("b", 1000); ok || wait != time.Minute {
		t.Errorf("again: %v, wait %v, want 1m", ok, wait)
	}
	if shared != 120 {
		t.Errorf("shared %d tokens", shared)
	}
	tiers := Tiers{Each: NewLimiter(60, time.Minute, clk.now), Address: NewLimiter(80, time.Minute, clk.now)}
	if ok, _ := tiers.AllowN("a", "x", 50); !ok {
		t.Error("50 of 60 and 80")
	}
	if ok, _ := tiers.AllowN("b", "x", 50); ok {
		t.Error("100 of an address's 80")
	}
	if ok, _ := tiers.AllowN("b", "y", 60); !ok {
		t.Error("what the address refused was taken of b")
	}
}

func TestLimiterOff(t *testing.T) {
	l := NewLimiter(0, 0, time.Now)
	for range 1000 {
		if ok, _ := l.Allow("a"); !ok {
			t.Fatal("off, yet refused")
		}
	}
	if l.Len() != 0 {
		t.Error("off, yet it remembers keys")
	}
}

// TestLimiterMemoryIsBounded floods a limiter with a million keys, and checks that an exhausted bucket is not reset by that.
func TestLimiterMemoryIsBounded(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	l := NewLimiter(3, time.Hour, time.Now)
	for range 3 {
		l.Allow("spent")
	}
	var most int64
	for i := range 1_000_000 {
		l.Allow("flood " + strconv.Itoa(i))
		if i%250_000 == 0 {
			most = max(most, heap()-before)
		}
	}
	most = max(most, heap()-before)
	t.Logf("%d keys held, %d bytes", l.Len(), most)
	if l.Len() > maxKeys || most > 16<<20 {
		t.Errorf("%d keys held in %d bytes", l.Len(), most)
	}
	if ok, _ := l.Allow("spent"); ok {
		t.Error("a flood of other keys fills a spent bucket again")
	}
}

func TestLimiterForgetsFullBuckets(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	l := NewLimiter(1, time.Minute, clk.now)
	for i := range maxKeys {
		l.Allow(strconv.Itoa(i))
	}
	clk.t = clk.t.Add(time.Minute)
	l.Allow("one more")
	if l.Len() != 1 {
		t.Errorf("%d keys held, of which one is not full", l.Len())
	}
	clk.t = clk.t.Add(-24 * time.Hour) // the clock is corrected backwards
	if ok, wait := l.Allow("one more"); ok || wait > time.Minute {
		t.Errorf("%v, wait %v", ok, wait)
	}
}

func TestTiers(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	limiter := func(n int) *Limiter { return NewLimiter(n, time.Minute, clk.now) }
	tiers := Tiers{Each: limiter(2), Address: limiter(4), All: limiter(6)}
	for i, step := range []struct {
		key, address string
		want         bool
	}{
		{"a", "1", true}, {"a", "1", true}, {"a", "1", false}, {"b", "1", true}, {"b", "1", true}, {"c", "1", false},
		{"c", "2", true}, {"c", "2", true}, {"d", "3", false},
	} {
		if ok, wait := tiers.Allow(step.key, step.address); ok != step.want || ok != (wait == 0) {
			t.Errorf("step %d, %s at %s: %v, wait %v", i, step.key, step.address, ok, wait)
		}
	}
	// A refusal by one tier takes no tokens from the others.
	clk.t = clk.t.Add(10 * time.Second)
	if ok, _ := tiers.Allow("d", "3"); !ok {
		t.Error("the refused attempt was counted")
	}
	if ok, wait := (Tiers{}).Allow("a", "1"); !ok || wait != 0 {
		t.Error("no tier, yet a limit")
	}
}

func TestConnectionLimiter(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c := NewConnectionLimiter(Tiers{Address: NewLimiter(5, time.Minute, clk.now)}, 2, 3)
	enter := func(address string, want bool) func() {
		t.Helper()
		leave, wait := c.Enter(address)
		if (leave != nil) != want || want != (wait == 0) {
			t.Fatalf("%s: let in %v, wait %v", address, leave != nil, wait)
		}
		return leave
	}
	first := enter("2001:db8::1", true)
	enter("2001:db8::2", true)
	enter("2001:db8::3", false) // the same /64
	last := enter("192.0.2.1", true)
	enter("192.0.2.2", false) // the total is reached
	first()
	first() // has no effect the second time
	enter("192.0.2.1", true)
	last()
	enter("192.0.2.1", true)
	if c.total != 3 || len(c.open) != 2 {
		t.Errorf("%d connections of %d addresses", c.total, len(c.open))
	}
	for range 10 { // connects and disconnects repeatedly
		if leave, _ := c.Enter("198.51.100.1"); leave != nil {
			t.Error("let in though it is full")
		}
	}
	quick := NewConnectionLimiter(Tiers{Address: NewLimiter(5, time.Minute, clk.now)}, 2, 0)
	for i := range 10 {
		leave, wait := quick.Enter("198.51.100.1")
		if (leave != nil) != (i < 5) {
			t.Errorf("opening %d: wait %v", i, wait)
		}
		if leave != nil {
			leave()
		}
	}
	if len(quick.open) != 0 {
		t.Error("an address that left is remembered")
	}
}

func TestAddressKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::1": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "unix": "unix",
	} {
		if got := AddressKey(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSpend(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	l := NewLimiter(10, time.Minute, clk.now)
	tiers := Tiers{Each: l}
	for i, tc := range []struct{ spend, left int }{{0, 9}, {4, 5}, {100, 0}} {
		key := strconv.Itoa(i)
		l.Allow(key)
		tiers.Spend(key, "", tc.spend)
		left := 0
		for ok, _ := l.Allow(key); ok; ok, _ = l.Allow(key) {
			left++
		}
		if left != tc.left {
			t.Errorf("after spending %d there are %d left, want %d", tc.spend, left, tc.left)
		}
	}
}
