package telegram_test

import (
	"strings"
	"testing"

	"sohbet/server/auth"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

const formerGroup, newGroup int64 = -4242, -1004242424242

func group(o *telegram.Options) { o.ChatID = formerGroup }

func newGroupEnv() telegramtest.Options {
	return telegramtest.Options{Chat: telegramtest.Chat{ID: formerGroup, Type: "group", Title: "Mağaza"}, Admin: true, ManageTopics: true}
}

// While this server was down the group became a supergroup, and Telegram no longer has the service message about it.
func TestAMoveThatWasMissed(t *testing.T) {
	for _, first := range []string{"visitor", "operator", "code"} {
		t.Run(first, func(t *testing.T) {
			h := newEnv(t, newGroupEnv(), group)
			h.bot.Allow("upgraded")
			visitor, thread := h.visitor("Ali")
			h.write(visitor, thread, "bir")
			m := h.sent(1)[0]
			h.settled()
			tag := m.Text[strings.Index(m.Text, "#thread:"):]
			h.stop()
			h.bot.Upgrade(newGroup, true)
			h.bot.Lose()
			h.start()
			switch first {
			case "visitor":
				h.write(visitor, thread, "iki")
				for i, text := range []string{"bir", "iki"} { // the new topic starts with the last messages of the old one
					if got := h.sent(2)[i]; got.Chat.ID != newGroup || got.Topic == 0 || !strings.Contains(got.Text, text) {
						t.Errorf("%+v", got)
					}
				}
			case "operator":
				h.bot.Say(telegramtest.In{Text: tag + " buradayız"})
				h.received(thread, 2)
			case "code":
				if err := h.bridge.SendCode(t.Context(), "123456", auth.Requester{Address: "192.0.2.1"}); err != nil {
					t.Fatal(err)
				}
				if got := h.sent(1)[0]; got.Chat.ID != newGroup || !strings.Contains(got.Text, "123456") {
					t.Errorf("%+v", got)
				}
			}
			if got := h.bridge.Health(t.Context()); got.MovedTo != newGroup || got.Trouble.Reason != "" {
				t.Errorf("%+v", got)
			}
			h.settled()
			h.stop()
			calls := len(h.bot.Calls())
			h.start() // the settings still have the old id
			h.write(visitor, thread, "dört")
			h.bot.Wait(t, patience, "the message after the restart", func() bool {
				sent := h.bot.Sent()
				return len(sent) > 0 && strings.Contains(sent[len(sent)-1].Text, "dört")
			})
			for _, c := range h.bot.Calls()[calls:] {
				if c.Params["chat_id"] == "-4242" {
					t.Errorf("%s goes to the old group", c.Method)
				}
			}
			h.stop()
			h.o.ChatID = telegramtest.GroupID // a different group: the stored move is ignored
			h.start()
			h.until("the settings to count", func() bool { return h.bridge.Health(t.Context()).MovedTo == 0 })
		})
	}
}

// A message sent to the old group and edited later is sent as a reply in the new one, and blocks nothing.
func TestCorrectionsAfterAMove(t *testing.T) {
	h := newEnv(t, newGroupEnv(), group)
	h.bot.Allow("upgraded")
	visitor, thread := h.visitor("Ali")
	said := h.write(agent, thread, "eski")
	h.sent(1)
	h.settled()
	h.bot.Upgrade(newGroup, false)
	if _, err := h.chatService.Edit(t.Context(), agent, thread, said.ID, "düzeltilmiş"); err != nil {
		t.Fatal(err)
	}
	if got := h.sent(1)[0]; got.Chat.ID != newGroup || !strings.Contains(got.Text, "düzeltilmiş") {
		t.Errorf("%+v", got)
	}
	h.write(visitor, thread, "sonra")
	if got := h.sent(2)[1]; !strings.Contains(got.Text, "sonra") {
		t.Errorf("%+v", got)
	}
}
