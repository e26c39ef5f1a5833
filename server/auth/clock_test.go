package auth

import (
	"testing"
	"time"
)

// The clocks of the processes of one chat differ, and are set back.
func TestSessionsAcrossClocks(t *testing.T) {
	for _, ahead := range []time.Duration{2 * time.Minute, 5 * time.Minute, -5 * time.Minute} {
		f, b := newSessions(t), browser{}
		f.clock.t = f.clock.t.Add(ahead)
		f.signIn(t, b)
		f.clock.t = f.clock.t.Add(-ahead)
		f.restart() // another process
		f.check(t, "issued "+ahead.String()+" ahead", b, true)
		f.clock.t = f.clock.t.Add(sessionLifetime + ahead.Abs() + time.Second)
		f.check(t, "after its lifetime", b, false)
	}
}

func TestASetClockSignsNobodyOut(t *testing.T) {
	f, b := newSessions(t), browser{}
	f.signIn(t, b)
	f.check(t, "signed in", b, true)
	f.clock.t = f.clock.t.Add(-3 * time.Hour)
	f.check(t, "after the clock was set back", b, true)
	f.flush(t.Context())
	f.restart()
	f.check(t, "and after a restart", b, true)
	f.clock.t = f.clock.t.Add(-30 * 24 * time.Hour)
	f.check(t, "a session issued much later than it could last", b, false)
}

func TestCodesAcrossClocks(t *testing.T) {
	for _, ahead := range []time.Duration{4 * time.Minute, -4 * time.Minute} {
		f, b := newCodes(t), browser{}
		f.clock.t = f.clock.t.Add(ahead)
		code := f.ask(t, b, false)
		f.clock.t = f.clock.t.Add(-ahead)
		if err := f.enter(b, code, false); err != nil {
			t.Errorf("issued %s ahead: %v", ahead, err)
		}
	}
}
