package app

import (
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// Two processes share a database, and the clock of one is two minutes fast or slow. What one of them issues, the other accepts.
func TestProcessesWithDifferentClocks(t *testing.T) {
	o := storetest.Options(t, "postgres")
	right := open(t, storetest.Reopen(t, o))
	for _, off := range []time.Duration{2 * time.Minute, -2 * time.Minute} {
		o.Clock = func() time.Time { return time.Now().Add(off) }
		wrong := open(t, storetest.Reopen(t, o))
		for _, pair := range [][2]*site{{right, wrong}, {wrong, right}} {
			from, to := pair[0], pair[1]
			agent := from.browser(t) // whose cookies are for the host, whatever the port
			if r := from.do(t, agent, "POST", "/request-otp", "{}"); r.status != 200 {
				t.Fatalf("a code: %d %s", r.status, r.body)
			}
			code := from.lastCode(t)
			if r := to.do(t, agent, "POST", "/verify-otp", `{"otp":"`+code+`"}`); r.status != 200 {
				t.Errorf("%s: a code of the other process: %d %s", off, r.status, r.body)
			}
			for _, s := range pair {
				if r := s.do(t, agent, "GET", "/api/threads", ""); r.status != 200 {
					t.Errorf("%s: a session: %d %s", off, r.status, r.body)
				}
			}
		}
		v := wrong.socket(t, wrong.browser(t))
		thread := v.emit("join", `{"display_name":"Ada"}`).ThreadID
		if a := v.emit("message", `{"text":"hello"}`); !a.OK {
			t.Fatal(a.raw)
		}
		stored, _, err := right.store.Messages(t.Context(), thread, models.MessageQuery{})
		if err != nil || len(stored) != 1 || time.Since(stored[0].CreatedAt).Abs() > 30*time.Second {
			t.Errorf("%s: stored %+v, %v", off, stored, err)
		}
		clock := wrong.health(t).Checks["clock"]
		if clock.Status != "warning" || clock.Reason != map[bool]string{true: "clock_ahead", false: "clock_behind"}[off > 0] {
			t.Errorf("%s: /health says %+v", off, clock)
		}
	}
	if clock := right.health(t).Checks["clock"]; clock.Status != "ok" {
		t.Errorf("a right clock: %+v", clock)
	}
}
