package telegram_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/chat"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

// bodies returns the user-written lines in the bot's messages, by topic.
func bodies(sent []telegramtest.Message) map[int][]string {
	out := make(map[int][]string)
	for _, m := range sent {
		lines := strings.Split(m.Text, "\n")
		out[m.Topic] = append(out[m.Topic], lines[1:len(lines)-1]...)
	}
	return out
}

func TestNothingIsLostInBadWeather(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	h.bot.RandomFaults(7, telegramtest.Rates{Methods: []string{"sendMessage", "createForumTopic"}, Internal: 0.15, Cuts: 0.15})
	ayse, a := h.visitor("Ayşe")
	veli, v := h.visitor("Veli")
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("message %02d", i))
		h.write(ayse, a, want[i])
		h.write(veli, v, want[i])
	}
	h.sent(5)
	h.bot.NoFaults()
	h.settled()
	got := bodies(h.bot.Sent())
	if len(got) != 2 {
		t.Fatalf("%d topics", len(got))
	}
	for topic, list := range got { // no call was executed whose response was lost
		if !slices.Equal(list, want) {
			t.Errorf("in topic %d: %q", topic, list)
		}
	}
}

func TestAnOutageDelaysAndKeepsTheOrder(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "before")
	h.sent(1)
	h.bot.SetDown(true)
	want := []string{"before"}
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		h.write(ayse, a, want[i+1])
	}
	h.until("the error", func() bool { return h.bridge.Health(t.Context()).Trouble.Reason == telegram.ReasonUnreachable })
	if w := h.bridge.Health(t.Context()); w.Waiting == 0 || w.Oldest.IsZero() {
		t.Errorf("health %+v", w)
	}
	h.bot.SetDown(false)
	h.settled()
	for _, list := range bodies(h.bot.Sent()) {
		if !slices.Equal(list, want) {
			t.Errorf("arrived %q", list)
		}
	}
	h.until("health", func() bool {
		w := h.bridge.Health(t.Context())
		return w.Trouble.Reason == "" && w.Waiting == 0 && w.Oldest.IsZero() && time.Since(w.LastContact) < time.Minute
	})
}

func TestRetryAfterIsHeeded(t *testing.T) { // the fake reports violations
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.bot.Script(telegramtest.Fault{Method: "sendMessage", Status: http.StatusTooManyRequests, RetryAfter: 1, Times: 2})
	for i := range 3 {
		h.write(ayse, a, fmt.Sprint(i))
	}
	h.settled()
	for _, list := range bodies(h.bot.Sent()) {
		if !slices.Equal(list, []string{"0", "1", "2"}) {
			t.Errorf("arrived %q", list)
		}
	}
}

func TestRefusedContentIsSentInAPlainerForm(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "first")
	h.sent(1)
	refuse := telegramtest.Fault{Method: "sendMessage", Status: http.StatusBadRequest}
	h.bot.Script(refuse)
	h.write(ayse, a, "<odd>")
	h.settled()
	h.bot.Script(telegramtest.Fault{Method: "sendMessage", Text: "impossible", Status: http.StatusBadRequest, Times: -1})
	m := h.write(ayse, a, "impossible")
	h.settled()
	h.write(ayse, a, "last")
	h.settled()
	for _, list := range bodies(h.bot.Sent()) {
		if !slices.Equal(list, []string{"first", "<odd>", "Bu mesaj Telegram'da gösterilemiyor. Panelde okuyabilirsiniz.", "last"}) {
			t.Errorf("arrived %q", list)
		}
	}
	if want := fmt.Sprintf(`Telegram refused a message","message_id":%d`, m.ID); !strings.Contains(h.log.String(), want) {
		t.Error("the log does not name what was refused")
	}
	if strings.Contains(h.log.String(), "impossible") || strings.Contains(h.log.String(), a) {
		t.Error("message text or a name is in the log")
	}
}

func TestTheWholeWasWrittenBeforeARestart(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	topic := h.sent(1)[0].Topic
	h.stop()
	h.write(ayse, a, "two")
	h.bot.Say(telegramtest.In{Topic: topic, Text: "answered meanwhile"})
	h.start()
	if got := h.received(a, 3); !slices.Equal(got, []string{"visitor: one", "visitor: two", "telegram: answered meanwhile"}) {
		t.Errorf("Ayşe sees %q", got)
	}
	h.settled()
	if got := bodies(h.bot.Sent())[topic]; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("arrived %q", got)
	}
}

func TestTopicsHeal(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	h.bot.Allow("message thread not found")
	h.bot.Allow("TOPIC_CLOSED")
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	first := h.sent(1)[0].Topic
	h.bot.DeleteTopic(first)
	h.write(ayse, a, "two")
	sent := h.sent(2) // the first was deleted with its topic; the new topic starts with its text
	if sent[1].Topic == first || !strings.Contains(sent[1].Text, "two") {
		t.Fatalf("after its deletion %+v", sent)
	}
	second := sent[0].Topic
	picture := h.upload("image", jpeg(t))
	h.bot.DeleteTopic(second)
	h.post(ayse, chat.Post{ThreadID: a, Text: "three", Type: "image", FileURL: picture.URL})
	third := h.sent(2)[1]
	if third.Topic == second || len(third.Photo) == 0 || !strings.Contains(third.Caption, "three") {
		t.Fatalf("after its deletion %+v", third)
	}
	// The operator closes the topic: that closes the conversation, and the visitor's next message reopens both.
	h.bot.CloseTopic(third.Topic)
	h.status(a, models.StatusClosed)
	h.write(ayse, a, "four")
	h.status(a, models.StatusActive)
	h.settled()
	last := h.bot.Sent()
	if m := last[len(last)-1]; m.Topic != third.Topic || !strings.Contains(m.Text, "four") {
		t.Errorf("after it was closed %+v", m)
	}
	topics := h.bot.Topics()
	if got := topics[len(topics)-1]; len(topics) != 3 || got.Closed || got.ID != third.Topic {
		t.Errorf("topics %+v", topics)
	}
	// The console closes and renames.
	if err := h.chatService.SetStatus(t.Context(), agent, a, models.StatusClosed); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "a closed topic", func() bool { return h.bot.Topics()[2].Closed })
	h.write(agent, a, "a word after closing")
	h.bot.Wait(t, patience, "the word", func() bool {
		all := h.bot.Sent()
		return strings.Contains(all[len(all)-1].Text, "a word")
	})
	h.bot.Wait(t, patience, "the topic of a closed conversation to be closed again", func() bool { return h.bot.Topics()[2].Closed })
	name := "Ayşe Hanım"
	if _, err := h.store.UpdateThread(t.Context(), a, models.ThreadPatch{DisplayName: &name}); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "a new name", func() bool { return h.bot.Topics()[2].Name == name })
}

// status waits until a thread has a status.
func (h *bridgeEnv) status(threadID, want string) {
	h.t.Helper()
	h.until("status "+want, func() bool {
		t, err := h.store.Thread(h.t.Context(), threadID)
		if err != nil {
			h.t.Fatal(err)
		}
		return t.Status == want
	})
}

func TestWithoutTheRightToTopicsTheChatIsShared(t *testing.T) {
	o := telegramtest.Forum()
	o.ManageTopics = false
	h := newEnv(t, o)
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	m := h.sent(1)[0]
	if m.Topic != 0 {
		t.Errorf("sent %+v", m)
	}
	h.bot.Say(telegramtest.In{ReplyTo: m.ID, Text: "answer"})
	h.received(a, 2)
}

func TestTheRoleMovesToTheNextProcess(t *testing.T) {
	so := storetest.Options(t, "postgres")
	so.Telegram = true
	bot := telegramtest.New(t, telegramtest.Forum())
	first := newEnvOn(t, bot, storetest.Reopen(t, so))
	first.until("a leader", func() bool { return first.bridge.Health(t.Context()).Leading })
	second := newEnvOn(t, bot, storetest.Reopen(t, so))
	ayse, a := first.visitor("Ayşe")
	first.write(ayse, a, "one")
	topic := first.sent(1)[0].Topic
	if second.bridge.Health(t.Context()).Leading {
		t.Error("two lead")
	}
	first.stop()
	second.until("the next leader", func() bool { return second.bridge.Health(t.Context()).Leading })
	first.write(ayse, a, "two") // accepted by the process that no longer leads
	bot.Say(telegramtest.In{Topic: topic, Text: "answer"})
	second.until("the answer", func() bool { return len(second.history(a)) == 3 })
	second.settled()
	if got := bodies(bot.Sent())[topic]; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("arrived %q", got)
	}
}

func TestAnotherPollerIsNoticed(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	h.until("a leader", func() bool { return !h.bridge.Health(t.Context()).LastContact.IsZero() })
	h.bot.Hook("https://elsewhere.example/hook") // left over from an earlier configuration: it is removed once
	h.bot.Allow("webhook is active")
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	topic := h.sent(1)[0].Topic
	h.bot.Say(telegramtest.In{Topic: topic, Text: "received nevertheless"})
	h.received(a, 2)
}
