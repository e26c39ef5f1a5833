package durability

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models/storetest"
)

// TestKill kills the server at a random moment under load, starts it again, and checks that every acked message is stored exactly once
// and in order. SOHBET_KILL_ROUNDS sets the number of kills.
func TestKill(t *testing.T) {
	rounds := number(t, "SOHBET_KILL_ROUNDS", 3)
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			url, dir := "", t.TempDir()
			if dialect == "postgres" {
				url = storetest.Options(t, dialect).URL
			}
			var heard atomic.Int64 // total number of acks
			visitors := make([]visitor, 24)
			for i := range visitors {
				visitors[i].window, visitors[i].heard = 8, &heard
			}
			acked, repeated := 0, 0
			for round := range rounds + 1 {
				server, before := start(t, dir, url), heard.Load()
				var wg sync.WaitGroup
				var mu sync.Mutex
				for i := range visitors {
					wg.Go(func() {
						v := &visitors[i]
						err := v.enter(t, server.Addr)
						if err == nil {
							err = v.check()
						}
						if err == nil {
							mu.Lock()
							repeated += len(v.stored) - len(v.acked) // stored, but the ack was lost, so it is sent again now
							mu.Unlock()
							err = v.talk(func() bool { return round < rounds })
						}
						if round == rounds && err == nil { // the last round has no kill
							if err = v.read(); err == nil {
								err = v.check()
							}
							if len(v.stored) != v.sent || len(v.acked) != v.sent {
								t.Errorf("visitor %d: %d sent, %d acked, %d stored", i, v.sent, len(v.acked), len(v.stored))
							}
						}
						if err != nil && (round == rounds || !errors.Is(err, errOffline)) {
							t.Errorf("round %d, visitor %d: %v", round, i, err)
						}
					})
				}
				if round < rounds {
					// On a busy machine the first messages take a while.
					for limit := time.Now().Add(time.Minute); heard.Load() < before+20 && time.Now().Before(limit); {
						time.Sleep(10 * time.Millisecond)
					}
					time.Sleep(rand.N(700 * time.Millisecond))
					server.Kill()
				}
				wg.Wait()
				for i := range visitors {
					if visitors[i].socket != nil {
						_ = visitors[i].socket.Close()
					}
				}
				server.Kill()
				if t.Failed() {
					t.Fatalf("round %d: %s", round, server.Tail())
				}
			}
			for i := range visitors {
				acked += len(visitors[i].acked)
			}
			if acked < 20*rounds {
				t.Errorf("only %d messages were acked, so this proves little", acked)
			}
			t.Logf("%d kills: %d messages acked, 0 missing, 0 doubled, 0 out of order; %d were stored without their ack arriving", rounds, acked, repeated)
		})
	}
}
