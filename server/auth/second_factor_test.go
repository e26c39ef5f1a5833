package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// memoryFactors is an in-memory FactorStore for one agent.
type memoryFactors struct {
	memoryCodes
	last int64
	left map[string]bool
}

func (m *memoryFactors) UseTOTPStep(_ context.Context, _, step int64) (bool, error) {
	fresh := step > m.last
	m.last = max(m.last, step)
	return fresh, nil
}

func (m *memoryFactors) UseRecoveryCode(_ context.Context, _ int64, code string) (bool, error) {
	had := m.left[code]
	delete(m.left, code)
	return had, nil
}

func newFactor(t *testing.T) (*SecondFactor, *memoryFactors, *clock) {
	t.Helper()
	keys, err := NewKeys([]string{strings.Repeat("k", 32)})
	if err != nil {
		t.Fatal(err)
	}
	clk, store := &clock{time.Unix(1_111_111_109, 0)}, &memoryFactors{left: map[string]bool{"aaaa-bbbb-cccc-dddd": true}}
	cookies := Cookies{HTTPS: func(*http.Request) bool { return false }}
	return NewSecondFactor(keys, store, NewTrustedBrowsers(keys, cookies, clk.now), "Shop", cookies, clk.now), store, clk
}

// rfcSecret is the key of RFC 6238, appendix B, in base32.
const rfcSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

func TestTOTPOfTheRFC(t *testing.T) {
	f, _, clk := newFactor(t)
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		clk.t = time.Unix(at, 0)
		if step, ok := f.matches(rfcSecret, code); !ok || step != at/30 {
			t.Errorf("at %d: %d, %v", at, step, ok)
		}
	}
}

func TestSecondFactorCodes(t *testing.T) {
	f, _, clk := newFactor(t)
	ada := Account{ID: 1, Name: "Ada"}
	code := func(after time.Duration) string {
		text, err := totp.GenerateCode(rfcSecret, clk.t.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct {
		entered string
		right   bool
	}{
		{code(-time.Minute), false}, {code(time.Minute), false}, {code(-30 * time.Second), true}, {code(-30 * time.Second), false},
		{code(0)[:3] + " " + code(0)[3:], true}, {code(0), false}, {code(30 * time.Second), true}, {code(0), false}, {"", false},
	} {
		if err := f.Check(t.Context(), ada, rfcSecret, "known", c.entered); (err == nil) != c.right || err != nil && !errors.As(err, new(WrongCode)) {
			t.Errorf("%q: %v, want %v", c.entered, err, c.right)
		}
	}
	for _, c := range []struct {
		entered string
		right   bool
	}{{"aaaa-bbbb-cccc-ddd", false}, {"AAAA bbbb cccc-dddd", true}, {"aaaa-bbbb-cccc-dddd", false}} {
		if err := f.Check(t.Context(), ada, rfcSecret, "other", c.entered); (err == nil) != c.right {
			t.Errorf("%q: %v, want %v", c.entered, err, c.right)
		}
	}
}

// Attackers who know the password can try ten codes, and later one in six minutes, without delaying a browser that signed in before.
func TestSecondFactorGuesses(t *testing.T) {
	f, _, clk := newFactor(t)
	ada, tried := Account{ID: 1}, 0
	for n := range 100 {
		err := f.Check(t.Context(), ada, rfcSecret, "", fmt.Sprintf("%06d", n))
		if errors.As(err, new(WrongCode)) {
			tried++
		} else if !errors.As(err, new(Limited)) {
			t.Fatal(err)
		}
	}
	if tried != 10 {
		t.Errorf("%d codes were compared", tried)
	}
	right, err := totp.GenerateCode(rfcSecret, clk.t)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(t.Context(), ada, rfcSecret, "known", right); err != nil {
		t.Errorf("a known browser: %v", err)
	}
	clk.t = clk.t.Add(6 * time.Minute)
	if right, err = totp.GenerateCode(rfcSecret, clk.t); err != nil {
		t.Fatal(err)
	}
	if err := f.Check(t.Context(), ada, rfcSecret, "", right); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestSetupOfAnApp(t *testing.T) {
	f, _, clk := newFactor(t)
	ada := Account{ID: 1, Name: "Ada", Generation: 3}
	w := httptest.NewRecorder()
	s, err := f.Propose(w, httptest.NewRequest("POST", "/", nil), ada)
	if err != nil || !strings.HasPrefix(s.URI, "otpauth://totp/Shop:Ada?") || !strings.Contains(s.URI, "secret="+s.Secret) || !strings.HasPrefix(string(s.QR), "\x89PNG") {
		t.Fatalf("%+v, %v", s, err)
	}
	cookie := w.Result().Cookies()[0]
	if !cookie.HttpOnly || strings.Contains(cookie.Value, s.Secret) {
		t.Errorf("cookie %+v", cookie)
	}
	confirm := func(who Account, code string, c *http.Cookie) ([]string, error) {
		r := httptest.NewRequest("POST", "/", nil)
		if c != nil {
			r.AddCookie(c)
		}
		secret, _, recovery, err := f.Confirm(httptest.NewRecorder(), r, who, code)
		if err == nil && secret != s.Secret {
			t.Errorf("another secret")
		}
		return recovery, err
	}
	right, err := totp.GenerateCode(s.Secret, clk.t)
	if err != nil {
		t.Fatal(err)
	}
	forged := &http.Cookie{Name: cookie.Name, Value: cookie.Value[:len(cookie.Value)-4] + "AAAA"}
	for what, try := range map[string]func() error{
		"without a proposal": func() error { _, err := confirm(ada, right, nil); return err },
		"a forged one":       func() error { _, err := confirm(ada, right, forged); return err },
		"another agent":      func() error { _, err := confirm(Account{ID: 2, Generation: 3}, right, cookie); return err },
		"a newer password":   func() error { _, err := confirm(Account{ID: 1, Generation: 4}, right, cookie); return err },
	} {
		if err := try(); !errors.Is(err, ErrNoCode) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := confirm(ada, "000000", cookie); !errors.As(err, new(WrongCode)) {
		t.Errorf("a wrong code: %v", err)
	}
	recovery, err := confirm(ada, right, cookie)
	if err != nil || len(recovery) != recoveryCodes || plainRecoveryCode(recovery[0]) != recovery[0] || recovery[0] == recovery[1] {
		t.Errorf("%v, %v", recovery, err)
	}
	clk.t = clk.t.Add(setupLifetime + clockTolerance)
	if _, err := confirm(ada, right, cookie); !errors.Is(err, ErrNoCode) {
		t.Errorf("too late: %v", err)
	}
}
