package durability

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// get sends a GET request with the token for the details of /health.
func get(url string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+metricsToken)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// TestPostgresAway stops PostgreSQL under load and starts it again: the same server process recovers, no acked message is lost,
// duplicated or out of order, and memory usage and log stay small. SOHBET_OUTAGE_SECONDS sets the duration of the outage.
func TestPostgresAway(t *testing.T) {
	away := time.Duration(number(t, "SOHBET_OUTAGE_SECONDS", 3)) * time.Second
	db := newPostgres(t)
	server := start(t, t.TempDir(), db.url())
	visitors := make([]visitor, 50)
	var over atomic.Bool
	var wg sync.WaitGroup
	for i := range visitors {
		v := &visitors[i]
		v.window = 1
		if err := v.enter(t, server.Addr); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			err := v.talk(func() bool { return !over.Load() })
			if err == nil {
				err = v.read()
			}
			if err == nil {
				err = v.check()
			}
			if err == nil && (len(v.stored) != v.sent || len(v.acked) != v.sent) {
				t.Errorf("visitor %d: %d sent, %d acked, %d stored", i, v.sent, len(v.acked), len(v.stored))
			}
			if err != nil {
				t.Errorf("visitor %d: %v", i, err)
			}
		})
	}
	time.Sleep(time.Second)
	before := server.Memory()
	db.stop()
	time.Sleep(away / 2)
	if h := health(t, server); !strings.Contains(h, `"unhealthy"`) || !strings.Contains(h, "PostgreSQL") {
		t.Errorf("meanwhile: %s", h)
	}
	for _, probe := range []struct{ path, want string }{{"live", "alive"}, {"ready", "database unreachable"}} {
		if text, err := get("http://" + server.Addr + "/health/" + probe.path); err != nil || !strings.Contains(text, `"`+probe.want+`"`) {
			t.Errorf("%s meanwhile: %s, %v", probe.path, text, err)
		}
	}
	time.Sleep(away / 2)
	during := server.Memory()
	db.start()
	back := time.Now()
	for !strings.Contains(health(t, server), `"status":"healthy"`) {
		if time.Since(back) > 20*time.Second {
			t.Fatalf("still not healthy: %s\n%s", health(t, server), server.Tail())
		}
		time.Sleep(100 * time.Millisecond)
	}
	healthy := time.Since(back)
	time.Sleep(time.Second)
	over.Store(true)
	wg.Wait()
	acked, refused, longest := 0, 0, time.Duration(0)
	for i := range visitors {
		v := &visitors[i]
		acked, refused, longest = acked+len(v.acked), refused+v.failed, max(longest, v.late)
		if v.failed == 0 {
			t.Errorf("visitor %d met no refusal, so the outage is not what was tested", i)
		}
		_ = v.socket.Close()
	}
	if longest > away+15*time.Second {
		t.Errorf("a visitor waited %v for an outage of %v", longest, away)
	}
	if grown := during - before; grown > 64<<20 {
		t.Errorf("%d bytes more during the outage", grown)
	}
	told := slices.DeleteFunc(server.Log(), func(line string) bool { return strings.Contains(line, `"stream":"performance"`) })
	if len(told) > 100 { // without slow queries, whose number depends on the machine
		t.Errorf("%d lines in the log: %s", len(told), server.Tail())
	}
	t.Logf("away for %v: %d messages acked, none lost, doubled or out of order; %d refusals; longest gap %v; healthy after %v; memory %d MB, during the outage %d MB; %d lines of log",
		away, acked, refused, longest.Round(time.Millisecond), healthy.Round(time.Millisecond), before>>20, during>>20, len(told))
}
