package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryCodes is an in-memory CodeStore.
type memoryCodes struct {
	mu    sync.Mutex
	rows  map[string]*row
	whole map[string]time.Time // times at which the limits are fully refilled

	compared int
}

func (m *memoryCodes) Spend(_ context.Context, name string, now time.Time, every time.Duration, burst int) (bool, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.whole == nil {
		m.whole = map[string]time.Time{}
	}
	whole := m.whole[name]
	if whole.Before(now) {
		whole = now
	}
	whole = whole.Add(every)
	if wait := whole.Add(-every * time.Duration(burst)).Sub(now); wait > 0 {
		return false, wait, nil
	}
	m.whole[name] = whole
	return true, 0, nil
}

func (m *memoryCodes) Refund(_ context.Context, name string, every time.Duration, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if whole, spent := m.whole[name]; spent {
		m.whole[name] = whole.Add(-every * time.Duration(n))
	}
	return nil
}

type row struct {
	hash    []byte
	expires time.Time
	tries   int
	used    bool
}

func (m *memoryCodes) SaveCode(_ context.Context, hash []byte, binding string, expires time.Time) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = map[string]*row{}
	}
	m.rows[binding] = &row{hash: hash, expires: expires}
	return int64(len(m.rows)), nil
}

func (m *memoryCodes) TryCode(_ context.Context, binding string, now time.Time, maxTries int, match func([]byte) bool) (bool, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.rows[binding]
	if r == nil || r.used || r.tries >= maxTries || !now.Before(r.expires) {
		return false, 0, nil
	}
	r.tries++
	m.compared++
	r.used = match(r.hash)
	return r.used, maxTries - r.tries, nil
}

func (m *memoryCodes) PurgeCodes(_ context.Context, now time.Time) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n int64
	for k, r := range m.rows {
		if !now.Before(r.expires) {
			delete(m.rows, k)
			n++
		}
	}
	return n, nil
}

type lastCode struct{ code string }

func (l *lastCode) SendCode(_ context.Context, code string, _ Requester) error {
	l.code = code
	return nil
}

// wrong returns a code other than the one sent.
func wrong(code string) string {
	if code == "000000" {
		return "111111"
	}
	return "000000"
}

type codeFixture struct {
	*Codes
	store *memoryCodes
	sent  *lastCode
	clock *clock
}

func newCodes(t *testing.T) codeFixture {
	f := codeFixture{store: &memoryCodes{}, sent: &lastCode{}, clock: &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	f.Codes = NewCodes(keys(t, keyA), f.store, f.sent, NewTrustedBrowsers(keys(t, keyA), plainHTTP, f.clock.now), plainHTTP, f.clock.now)
	return f
}

func (f codeFixture) ask(t *testing.T, b browser, password bool) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := f.Request(w, b.request(), Account{}, password, Requester{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprint(w.Header(), w.Body), f.sent.code) {
		t.Error("the code is in the answer")
	}
	b.keep(w)
	return f.sent.code
}

func (f codeFixture) enter(b browser, code string, needPassword bool) error {
	return f.enterAs(b, code, Account{}, needPassword)
}

func (f codeFixture) enterAs(b browser, code string, agent Account, needPassword bool) error {
	w := httptest.NewRecorder()
	err := f.Verify(w, b.request(), code, agent, needPassword, Requester{})
	b.keep(w)
	return err
}

// A code is not valid any more once the sessions of its agent were ended.
func TestCodeOfAnEarlierGeneration(t *testing.T) {
	f, mine := newCodes(t), browser{}
	code := f.ask(t, mine, true)
	if err := f.enterAs(mine, code, Account{Generation: 1}, true); !errors.Is(err, ErrNoCode) {
		t.Errorf("after the password was changed: %v", err)
	}
	if err := f.enter(mine, code, true); err != nil {
		t.Errorf("before: %v", err)
	}
}

func TestCodeIsGoodOnceInItsBrowser(t *testing.T) {
	f, mine, other := newCodes(t), browser{}, browser{}
	code := f.ask(t, mine, false)
	if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		t.Fatalf("code %q", code)
	}
	for _, r := range f.store.rows {
		if bytes.Contains(r.hash, []byte(code)) || len(r.hash) != 32 {
			t.Error("the store holds the code itself")
		}
	}
	if err := f.enter(other, code, false); !errors.Is(err, ErrNoCode) {
		t.Errorf("a browser that did not ask: %v", err)
	}
	f.ask(t, other, false)
	if f.sent.code != code {
		if err := f.enter(other, code, false); !errors.Is(err, ErrNoCode) && !errors.As(err, new(WrongCode)) {
			t.Errorf("another browser's code: %v", err)
		}
	}
	saved := mine[loginCookie]
	if err := f.enter(mine, code, false); err != nil {
		t.Fatalf("the right code: %v", err)
	}
	if len(mine) != 0 {
		t.Error("the login cookie stays after sign-in")
	}
	mine[loginCookie] = saved
	if err := f.enter(mine, code, false); !errors.Is(err, ErrNoCode) {
		t.Errorf("used a second time: %v", err)
	}
}

func TestCodeExpires(t *testing.T) {
	f, b := newCodes(t), browser{}
	code := f.ask(t, b, false)
	f.clock.t = f.clock.t.Add(5*time.Minute - time.Second)
	saved := *b[loginCookie]
	if err := f.enter(b, wrong(code), false); !errors.As(err, new(WrongCode)) {
		t.Errorf("before its end: %v", err)
	}
	f.clock.t = f.clock.t.Add(time.Second)
	b[loginCookie] = &saved
	if err := f.enter(b, code, false); !errors.Is(err, ErrNoCode) {
		t.Errorf("after five minutes: %v", err)
	}
	f.ask(t, browser{}, false)
	if len(f.store.rows) != 1 {
		t.Errorf("%d codes kept, the expired one should be gone", len(f.store.rows))
	}
}

func TestCodeHasFiveTries(t *testing.T) {
	f, b := newCodes(t), browser{}
	code := f.ask(t, b, false)
	for left := 4; left >= 1; left-- {
		var e WrongCode
		if err := f.enter(b, wrong(code), false); !errors.As(err, &e) || e.TriesLeft != left {
			t.Fatalf("want %d tries left, got %v", left, err)
		}
	}
	saved := *b[loginCookie]
	if err := f.enter(b, wrong(code), false); !errors.Is(err, ErrNoCode) {
		t.Fatalf("fifth wrong try: %v", err)
	}
	b[loginCookie] = &saved
	if err := f.enter(b, code, false); !errors.Is(err, ErrNoCode) {
		t.Errorf("the right code as the sixth try: %v", err)
	}
}

func TestFifthTryMayBeRight(t *testing.T) {
	f, b := newCodes(t), browser{}
	code := f.ask(t, b, false)
	for range 4 {
		if err := f.enter(b, wrong(code), false); err == nil {
			t.Fatal("a wrong code was taken")
		}
	}
	if err := f.enter(b, code, false); err != nil {
		t.Errorf("fifth try, right code: %v", err)
	}
}

func TestCodeWithoutPasswordIsNoSecondFactor(t *testing.T) {
	f, b := newCodes(t), browser{}
	code := f.ask(t, b, false)
	if err := f.enter(b, code, true); !errors.Is(err, ErrNoCode) {
		t.Errorf("asked for without the password: %v", err)
	}
	code = f.ask(t, b, true)
	if err := f.enter(b, code, true); err != nil {
		t.Errorf("asked for with the password: %v", err)
	}
}

func TestCodeOutlivesKeyRotation(t *testing.T) {
	f, b := newCodes(t), browser{}
	code := f.ask(t, b, false)
	f.Codes = NewCodes(keys(t, keyB, keyA), f.store, f.sent, NewTrustedBrowsers(keys(t, keyA), plainHTTP, f.clock.now), plainHTTP, f.clock.now)
	if err := f.enter(b, code, false); err != nil {
		t.Errorf("after rotation: %v", err)
	}
}

type brokenStore struct{ memoryCodes }

var errDisk = errors.New("disk full")

func (*brokenStore) TryCode(context.Context, string, time.Time, int, func([]byte) bool) (bool, int, error) {
	return false, 0, errDisk
}

func TestStoreErrorsAreNoWrongCodes(t *testing.T) {
	f, b := newCodes(t), browser{}
	code := f.ask(t, b, false)
	f.Codes = NewCodes(keys(t, keyA), &brokenStore{}, f.sent, NewTrustedBrowsers(keys(t, keyA), plainHTTP, f.clock.now), plainHTTP, f.clock.now)
	if err := f.enter(b, code, false); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
}

func TestLogSenderShowsTheCodeAtEveryLevel(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}))
	if err := (LogSender{Log: log}).SendCode(t.Context(), "012345", Requester{Address: "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "SIGN-IN CODE") || !strings.Contains(out.String(), "012345") || !strings.Contains(out.String(), "192.0.2.1") {
		t.Errorf("logged %q", out.String())
	}
}
