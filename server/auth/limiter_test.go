package auth

import (
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
)

func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
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

func TestLimiterMemoryIsBounded(t *testing.T) {
	l := NewLimiter(1, time.Hour, time.Now)
	l.Allow("first")
	for i := range maxKeys - 1 {
		l.Allow(strconv.Itoa(i))
	}
	if ok, _ := l.Allow("first"); ok {
		t.Fatal("forgotten before the limit was reached")
	}
	for i := range maxKeys {
		l.Allow("x" + strconv.Itoa(i))
		if i%1000 == 0 {
			l.Allow("first") // still in use, so it must not be the one forgotten
		}
	}
	if l.Len() != maxKeys {
		t.Errorf("%d keys held, want %d", l.Len(), maxKeys)
	}
	if ok, _ := l.Allow("first"); ok {
		t.Error("a key in use was forgotten")
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

func TestOrigins(t *testing.T) {
	o := Origins{"https://shop.example"}
	for origin, want := range map[string]struct{ listed, allowed bool }{
		"":                               {false, true},
		"http://chat.example":            {false, true},
		"https://CHAT.example":           {false, true},
		"https://shop.example":           {true, true},
		"https://Shop.example":           {true, true},
		"http://shop.example":            {false, false},
		"https://shop.example.evil.test": {false, false},
		"https://evil.test":              {false, false},
		"null":                           {false, false},
		"http://chat.example:81":         {false, false},
		"%zz":                            {false, false},
	} {
		r := httptest.NewRequest("GET", "http://chat.example/socket.io/", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if got := o.Listed(r); got != want.listed {
			t.Errorf("%q listed: %v", origin, got)
		}
		if got := o.Allowed(r); got != want.allowed {
			t.Errorf("%q allowed: %v", origin, got)
		}
	}
}
