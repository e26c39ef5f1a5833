package telegram_test

import (
	"slices"
	"testing"
	"time"

	"sohbet/models/storetest"
	"sohbet/server/telegram/telegramtest"
)

// TestWhatTelegramConfirmedIsNotSentAgain takes the lead from a process while Telegram has its messages and has not responded yet, once
// as after a pause, so that the next process is already there, and once while the process is stopped.
func TestWhatTelegramConfirmedIsNotSentAgain(t *testing.T) {
	for name, handOver := range map[string]func(t *testing.T, first *bridgeEnv){
		"lost": func(t *testing.T, first *bridgeEnv) {
			if _, err := storetest.Raw(t, first.store).Exec("UPDATE leases SET fence = fence + 1, expires_at = '2000-01-01 00:00:00'"); err != nil {
				t.Fatal(err)
			}
		},
		"stopped": func(_ *testing.T, first *bridgeEnv) { go first.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bot, first, second := twoProcesses(t)
			ayse, a := first.visitor("Ayşe")
			first.write(ayse, a, "one")
			topic := first.sent(1)[0].Topic
			first.settled()

			bot.Script(telegramtest.Fault{Method: "sendMessage", Performed: true, Delay: 3500 * time.Millisecond})
			m := first.write(ayse, a, "two")
			first.sent(2)
			handOver(t, first)
			second.until("the next leader", func() bool { return second.bridge.Health(t.Context()).Leading })
			second.write(ayse, a, "three")
			second.settled()
			if got := bodies(bot.Sent())[topic]; !slices.Equal(got, []string{"one", "two", "three"}) {
				t.Errorf("arrived %q", got)
			}
			if links, err := second.store.LinksOf(t.Context(), m.ID); err != nil || len(links) != 1 {
				t.Errorf("linked %+v, %v", links, err)
			}
		})
	}
}

// TestATopicCreatedWhileTheLeadIsLostIsUsed loses the lead while Telegram creates a topic.
func TestATopicCreatedWhileTheLeadIsLostIsUsed(t *testing.T) {
	bot, first, second := twoProcesses(t)
	bot.Script(telegramtest.Fault{Method: "createForumTopic", Performed: true, Delay: 3500 * time.Millisecond})
	ayse, a := first.visitor("Ayşe")
	first.write(ayse, a, "one")
	bot.Wait(t, patience, "a topic", func() bool { return len(bot.Topics()) == 1 })
	if _, err := storetest.Raw(t, first.store).Exec("UPDATE leases SET fence = fence + 1, expires_at = '2000-01-01 00:00:00'"); err != nil {
		t.Fatal(err)
	}
	second.settled()
	if n := len(bot.Topics()); n != 1 {
		t.Errorf("%d topics", n)
	}
	if sent := bot.Sent(); len(sent) != 1 {
		t.Errorf("sent %+v", sent)
	}
}

// twoProcesses returns two processes of one bot and database. The first has the lead.
func twoProcesses(t *testing.T) (bot *telegramtest.Server, first, second *bridgeEnv) {
	t.Helper()
	so := storetest.Options(t, "postgres")
	so.Telegram = true
	bot = telegramtest.New(t, telegramtest.Forum())
	bot.Allow("terminated by other getUpdates") // both poll for a moment
	first = newEnvOn(t, bot, storetest.Reopen(t, so))
	first.until("a leader", func() bool { return first.bridge.Health(t.Context()).Leading })
	return bot, first, newEnvOn(t, bot, storetest.Reopen(t, so))
}
