package auth

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"
)

// alarm is a CodeSender that also records notifications of wrong codes.
type alarm struct {
	lastCode
	tries []int
}

func (a *alarm) FailedGuess(_ context.Context, who Requester, tries int) {
	if who.Address != "" {
		a.tries = append(a.tries, tries)
	}
}

// attack guesses for span, one guess per second, with as many browsers as needed, and returns how many guesses were compared.
func (f codeFixture) attack(t *testing.T, span time.Duration, fresh func() browser) (compared int) {
	t.Helper()
	b := fresh()
	for end := f.clock.t.Add(span); f.clock.t.Before(end); f.clock.t = f.clock.t.Add(10 * time.Second) {
		if b[loginCookie] == nil {
			b = fresh()
			w := httptest.NewRecorder()
			err := f.Request(w, b.request(), Account{}, false, Requester{})
			if errors.As(err, new(Limited)) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			b.keep(w)
		}
		before := f.store.compared
		if err := f.enter(b, wrong(f.sent.code), false); err == nil {
			t.Fatal("a wrong code was taken")
		}
		compared += f.store.compared - before
	}
	return compared
}

func stranger() browser { return browser{} }

// signedIn returns a browser that has signed in.
func (f codeFixture) signedIn(t *testing.T) browser {
	t.Helper()
	b := browser{}
	if err := f.enter(b, f.ask(t, b, false), false); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := f.trusted.Mark(w, b.request()); err != nil {
		t.Fatal(err)
	}
	b.keep(w)
	return b
}

// TestGuessesOfADay counts how many guesses of unknown browsers, and of a stolen known browser in addition, are compared in any 24
// hours of a week: each succeeds with a probability of one in a million.
func TestGuessesOfADay(t *testing.T) {
	f := newCodes(t)
	stolen := f.signedIn(t)
	thief := func() browser { return browser{trustedBrowserCookie: stolen[trustedBrowserCookie]} }
	for day := range 3 {
		strangers := f.attack(t, 24*time.Hour, stranger)
		if most := 50; strangers > most || strangers < 20 {
			t.Errorf("day %d: unknown browsers had %d guesses, at most %d are wanted", day, strangers, most)
		}
	}
	// A week later all limits are fully refilled, and both attack at once.
	f.clock.t = f.clock.t.Add(7 * 24 * time.Hour)
	start := f.clock.t
	total := f.attack(t, 24*time.Hour, stranger)
	f.clock.t = start
	total += f.attack(t, 24*time.Hour, thief)
	if total > 99 {
		t.Errorf("%d guesses in a day: the chance is over 1 in 10,000", total)
	}
}

func TestOwnerIsNotLockedOut(t *testing.T) {
	f := newCodes(t)
	mine, others := f.signedIn(t), f.signedIn(t)
	f.attack(t, 24*time.Hour, stranger)
	if err := f.enter(mine, f.ask(t, mine, false), false); err != nil {
		t.Errorf("a browser that signed in before, after a day of guessing by unknown browsers: %v", err)
	}
	f.attack(t, 24*time.Hour, func() browser { return browser{trustedBrowserCookie: others[trustedBrowserCookie]} })
	if err := f.enter(mine, f.ask(t, mine, false), false); err != nil {
		t.Errorf("after a day of guessing in another browser that signed in: %v", err)
	}
	// A new browser may have to wait, but not for long after the attack.
	f.attack(t, time.Hour, stranger)
	f.clock.t = f.clock.t.Add(58 * time.Minute)
	fresh := browser{}
	if err := f.enter(fresh, f.ask(t, fresh, false), false); err != nil {
		t.Errorf("a new browser an hour after the attack: %v", err)
	}
}

func TestSuccessGivesBack(t *testing.T) {
	f := newCodes(t)
	for range 200 { // signing in all day, each time with one wrong code, from browsers that delete their cookies
		b := browser{}
		code := f.ask(t, b, false)
		if err := f.enter(b, wrong(code), false); !errors.As(err, new(WrongCode)) {
			t.Fatal(err)
		}
		if err := f.enter(b, code, false); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyComparingSpends(t *testing.T) {
	f := newCodes(t)
	b := browser{}
	code := f.ask(t, b, false)
	saved := *b[loginCookie]
	for range 5 {
		b[loginCookie] = &saved
		_ = f.enter(b, wrong(code), false)
	}
	for range 100 { // this code is used up, and guesses without a valid code are not counted
		b[loginCookie] = &saved
		if err := f.enter(b, code, false); !errors.Is(err, ErrNoCode) {
			t.Fatal(err)
		}
		if err := f.enter(browser{}, code, false); !errors.Is(err, ErrNoCode) {
			t.Fatal(err)
		}
	}
	fresh := browser{}
	if err := f.enter(fresh, f.ask(t, fresh, false), false); err != nil {
		t.Errorf("a hundred guesses without a valid code exhausted the limit: %v", err)
	}
}

func TestAsksAreBounded(t *testing.T) {
	f := newCodes(t)
	sent := 0
	for range 24 * 60 { // every minute of a day, each time with a different browser
		if err := f.Request(httptest.NewRecorder(), stranger().request(), Account{}, false, Requester{}); err == nil {
			sent++
		} else if !errors.As(err, new(Limited)) {
			t.Fatal(err)
		}
		f.clock.t = f.clock.t.Add(time.Minute)
	}
	if sent > 10+6*24 || sent < 100 {
		t.Errorf("%d messages in a day", sent)
	}
}

func TestAlarm(t *testing.T) {
	f := newCodes(t)
	a := &alarm{}
	f.sender = a
	b := browser{}
	w := httptest.NewRecorder()
	if err := f.Request(w, b.request(), Account{}, false, Requester{}); err != nil {
		t.Fatal(err)
	}
	b.keep(w)
	for range 5 {
		_ = f.Verify(httptest.NewRecorder(), b.request(), wrong(a.code), Account{}, false, Requester{Address: "192.0.2.1"})
	}
	if len(a.tries) != 5 || a.tries[0] != 1 || a.tries[4] != 5 {
		t.Errorf("notified of %v", a.tries)
	}
}

func TestTrustedBrowser(t *testing.T) {
	clk := &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	k := NewTrustedBrowsers(keys(t, keyA), plainHTTP, clk.now)
	b := browser{}
	mark := func() {
		t.Helper()
		w := httptest.NewRecorder()
		if err := k.Mark(w, b.request()); err != nil {
			t.Fatal(err)
		}
		b.keep(w)
	}
	if id := k.ID(b.request()); id != "" {
		t.Errorf("a new browser is called %q", id)
	}
	mark()
	first := k.ID(b.request())
	clk.t = clk.t.Add(100 * 24 * time.Hour)
	mark()
	if again := k.ID(b.request()); first == "" || again != first {
		t.Errorf("called %q, then %q", first, again)
	}
	clk.t = clk.t.Add(trustedBrowserLifetime - time.Second)
	if k.ID(b.request()) == "" {
		t.Error("forgotten before its time")
	}
	clk.t = clk.t.Add(time.Second)
	if k.ID(b.request()) != "" {
		t.Error("still known after half a year")
	}
	for name, value := range map[string]string{"forged": "abc", "another cookie": b[trustedBrowserCookie].Value} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", sessionCookie+"="+value)
		if _, ok := NewSessions(keys(t, keyA), &memorySessions{}, plainHTTP, clk.now).FromRequest(r); ok {
			t.Errorf("%s: opens a session", name)
		}
	}
}
