package app

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"sohbet/models"
	"sohbet/models/storetest"
)

// TestGuessingFromManyAddresses attacks the sign-in from any number of addresses and browsers, with the limit per address off and a
// restart in between. The owner can still sign in.
func TestGuessingFromManyAddresses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, store *models.Store) {
		s := open(t, store, "TRUSTED_PROXIES", "127.0.0.1")
		known := s.cookie(t, s.agent(t), "sohbet_known")
		addresses := 0
		from := func() string {
			addresses++
			return fmt.Sprintf("198.51.%d.%d", addresses/250, addresses%250)
		}
		compared, sent := 0, 0
		var last reply
		for i := range 60 {
			if i == 30 {
				s = open(t, store, "TRUSTED_PROXIES", "127.0.0.1") // another process
			}
			stranger := s.browser(t)
			if last = s.do(t, stranger, "POST", "/request-otp", "", "X-Forwarded-For", from()); last.status != 200 {
				continue
			}
			sent++
			wrong := "000000"
			if s.lastCode(t) == wrong {
				wrong = "000001"
			}
			for range 5 {
				r := s.do(t, stranger, "POST", "/verify-otp", `{"otp":"`+wrong+`"}`, "X-Forwarded-For", from())
				if r.status == 401 {
					compared++
				} else if last = r; r.status != 429 {
					t.Fatalf("%d %s", r.status, r.body)
				}
			}
		}
		if compared != 25 || sent != 10 {
			t.Errorf("%d codes were sent and %d guesses compared, want 10 and 25 at once", sent, compared)
		}
		wait, err := strconv.Atoi(last.header.Get("Retry-After"))
		if err != nil || wait < 60 || wait > 3600 || last.code() != "RATE_LIMIT_EXCEEDED" {
			t.Errorf("Retry-After %q, %s", last.header.Get("Retry-After"), last.body)
		}
		mine := s.browser(t)
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		mine.Jar.SetCookies(u, []*http.Cookie{{Name: "sohbet_known", Value: known}})
		s.signIn(t, mine)
	})
}

// TestProxyThatIsNotTrusted checks that the warning is logged once, and only when it applies.
func TestProxyThatIsNotTrusted(t *testing.T) {
	const warning = "requests come through a proxy"
	for trusted, want := range map[string]int{"": 1, "127.0.0.1": 0} {
		s := open(t, storetest.Open(t, "sqlite"), "TRUSTED_PROXIES", trusted)
		for _, path := range []string{"/", "/login", "/health/live"} {
			s.do(t, s.browser(t), "GET", path, "")
		}
		if strings.Contains(s.log.String(), warning) {
			t.Error("warned though nothing is forwarded")
		}
		for range 3 {
			s.do(t, s.browser(t), "GET", "/", "", "X-Forwarded-For", "192.0.2.1")
		}
		if got := strings.Count(s.log.String(), warning); got != want {
			t.Errorf("with TRUSTED_PROXIES=%q warned %d times, want %d", trusted, got, want)
		}
	}
}

// TestRightPasswordDuringAFlood has attackers at always new addresses try passwords, first sequentially and then 32 at a time, while
// the owner signs in with a new browser at a new address.
func TestRightPasswordDuringAFlood(t *testing.T) {
	hash, err := argon2id.CreateHash("open sesame", &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, storetest.Open(t, "sqlite"), "TRUSTED_PROXIES", "127.0.0.1", "ADMIN_PASSWORD", hash, "RATE_LIMIT_LOGIN", "5/15m")
	var addresses atomic.Int32
	stranger := func() int {
		n := addresses.Add(1)
		return s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"admin","password":"x"}`, "X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", n/250, n%250)).status
	}
	owner := func(address string) (tries int) {
		for tries = 1; tries <= 5; tries++ {
			r := s.do(t, s.browser(t), "POST", "/admin/login", `{"username":"admin","password":"open sesame"}`, "X-Forwarded-For", address)
			if r.status == 200 {
				return tries
			}
			if r.status != 429 {
				t.Errorf("%d %s", r.status, r.body)
			}
		}
		t.Errorf("the right password was refused %d times", tries-1)
		return tries
	}
	for range 62 {
		if status := stranger(); status != 401 && status != 429 {
			t.Fatalf("an attacker's attempt: %d", status)
		}
	}
	if tries := owner("192.0.2.1"); tries != 1 {
		t.Errorf("after 62 other addresses it took %d tries", tries)
	}
	var flood sync.WaitGroup
	var over atomic.Bool
	defer flood.Wait()
	defer over.Store(true)
	for range 32 {
		flood.Go(func() {
			for !over.Load() && addresses.Load() < 10_000 {
				stranger()
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); addresses.Load() < 662 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	owner("192.0.2.2")
}
