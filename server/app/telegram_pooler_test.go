package app

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/telegram/telegramtest"
)

// TestTheBotBehindPgBouncer runs two processes through PgBouncer in transaction mode. Each message appears once in Telegram: while both
// run, while the process with the bot is paused and the other takes over, and after it is resumed.
func TestTheBotBehindPgBouncer(t *testing.T) {
	redis := os.Getenv("SOHBET_TEST_REDIS")
	if redis == "" {
		t.Fatal("SOHBET_TEST_REDIS is not set: run `make test`, or this through .ci/services")
	}
	bot := telegramtest.New(t, telegramtest.Forum())
	bot.Allow("terminated by other getUpdates") // a paused process keeps its poll open
	options := storetest.Options(t, "postgres")
	database := storetest.PgBouncer(t, options.URL, "transaction")
	next := func() *shop {
		return openShopOn(t, bot, telegramtest.Forum(), "DATABASE_URL="+database, "REDIS_URL="+redis)
	}
	leader := next()
	bot.Wait(t, time.Minute, "the bot to listen", bot.Polled)
	second := next()
	const takeover = time.Minute // generous: the lease is 10 s

	var asked []string
	ask := func(guests ...*guest) {
		t.Helper()
		for i, g := range guests {
			text := fmt.Sprintf("question %d-%d?", len(asked), i)
			asked = append(asked, text)
			g.say(text)
		}
	}
	shown := func() (all []string) {
		for _, m := range bot.Sent() {
			for _, text := range asked {
				if strings.Contains(m.Text, text) {
					all = append(all, text)
				}
			}
		}
		slices.Sort(all)
		return all
	}
	// once waits until every message was sent and its row removed, and checks that none was sent twice.
	store := storetest.Reopen(t, options)
	once := func(when string) {
		t.Helper()
		bot.Wait(t, takeover, "every question "+when, func() bool { return len(shown()) >= len(asked) })
		for deadline := time.Now().Add(takeover); ; time.Sleep(20 * time.Millisecond) {
			backlog, err := store.OutboxBacklog(t.Context(), models.ChannelTelegram)
			if err != nil {
				t.Fatal(err)
			}
			if backlog.Rows == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d rows are left", when, backlog.Rows)
			}
		}
		want := slices.Sorted(slices.Values(asked))
		if got := shown(); !slices.Equal(got, want) {
			t.Errorf("%s: shown %q, asked %q", when, got, want)
		}
	}

	here, there := []*guest{leader.visit("Ali"), leader.visit("Ayşe")}, []*guest{second.visit("Veli"), second.visit("Zeynep"), second.visit("Can")}
	ask(here...)
	ask(there...)
	ask(there...)
	once("with both")
	leader.Pause()
	ask(there...)
	once("with a paused leader")
	if second.telegrams() == "0" {
		t.Error("the second process has not taken over")
	}
	leader.Resume()
	lost := func(line string) bool { return strings.Contains(line, "lost the lease") }
	for deadline := time.Now().Add(takeover); !slices.ContainsFunc(leader.Log(), lost); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the first process does not notice")
		}
	}
	ask(there...)
	ask(here...)
	once("after the pause")
	for _, s := range []*shop{leader, second} {
		if log := strings.Join(s.Log(), "\n"); strings.Contains(log, "prepared statement") || !strings.Contains(log, "a pooler such as PgBouncer") {
			t.Errorf("a process says about the pooler: %s", s.Tail())
		}
	}
}
