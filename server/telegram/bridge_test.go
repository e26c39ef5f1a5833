package telegram_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/server/chat"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

func TestEachThreadHasItsTopic(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe <b>")
	veli, v := h.visitor("Veli")
	h.write(ayse, a, "merhaba & <i>selam</i>")
	h.sent(1) // topics of conversations that start at the same time are created in any order
	h.write(veli, v, "hello")
	h.write(ayse, a, "orada mısınız?")
	sent := h.sent(3)
	topics := h.bot.Topics()
	if len(topics) != 2 || topics[0].Name != "Ayşe <b>" || topics[1].Name != "Veli" {
		t.Fatalf("topics %+v", topics)
	}
	names, _, err := h.store.TelegramThread(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	want := "💬 Ayşe <b>\nmerhaba & <i>selam</i>\n#thread:" + names.ShortID
	if m := sent[0]; m.Text != want || m.Topic != topics[0].ID || len(m.Entities) == 0 || m.Entities[0].Type != "bold" || m.ReplyMarkup == nil {
		t.Errorf("first %+v", m)
	}
	if strings.Contains(sent[0].Text, a[:8]) {
		t.Error("the visitor's credential shows in Telegram")
	}
	for _, m := range sent[1:] {
		if strings.Contains(m.Text, "orada") && (m.Topic != topics[0].ID || m.ReplyMarkup != nil) || strings.Contains(m.Text, "hello") && m.Topic != topics[1].ID {
			t.Errorf("later %+v", m)
		}
	}
	// The operator writes in the topic, not as a reply.
	h.bot.Say(telegramtest.In{Topic: topics[1].ID, Text: "How can I help?"})
	if got := h.received(v, 2); !slices.Equal(got, []string{"visitor: hello", "telegram: How can I help?"}) {
		t.Errorf("Veli sees %q", got)
	}
	h.until("the events", func() bool {
		return h.recorder.Events(v, "message_from_admin") == 1 && h.recorder.Events(v, "message") == 2
	})
	// An agent answers in the console; the answer appears in Telegram once.
	h.write(agent, v, "I take this one")
	last := h.sent(4)[3]
	if last.Topic != topics[1].ID || !strings.Contains(last.Text, "I take this one") || !strings.HasPrefix(last.Text, "🖥 Panel → Veli\n") {
		t.Errorf("from the console %+v", last)
	}
	h.settled()
	if n := len(h.bot.Sent()); n != 4 {
		t.Errorf("%d messages from the bot", n)
	}
}

func TestElsewhereByReplyOrTag(t *testing.T) {
	for name, o := range map[string]telegramtest.Options{
		"group":   {Chat: telegramtest.Chat{ID: telegramtest.GroupID, Type: "supergroup", Title: "Mağaza"}, Bot: telegramtest.User{ID: 7123456789, IsBot: true, FirstName: "Sohbet", Username: "sohbet_test_bot", ReadsAll: true}},
		"private": telegramtest.Private(),
	} {
		t.Run(name, func(t *testing.T) {
			h := newEnv(t, o, func(b *telegram.Options) {
				if name == "private" {
					b.ChatID = telegramtest.OperatorID
				}
			})
			ayse, a := h.visitor("Ayşe")
			veli, v := h.visitor("Veli")
			h.write(ayse, a, "one")
			h.write(veli, v, "two")
			sent := h.sent(2)
			if len(h.bot.Topics()) != 0 || sent[0].Topic != 0 {
				t.Errorf("topics where there are none: %+v", sent[0])
			}
			first, second := sent[0], sent[1]
			if strings.Contains(second.Text, "one") {
				first, second = second, first
			}
			h.bot.Say(telegramtest.In{ReplyTo: second.ID, Text: "for two"})
			h.received(v, 2)
			tag := first.Text[strings.Index(first.Text, "#thread:"):]
			mine := h.bot.Say(telegramtest.In{Text: strings.ToUpper(tag) + " for one"})
			if got := h.received(a, 2); got[1] != "telegram: for one" {
				t.Errorf("Ayşe sees %q", got)
			}
			// A reply to the operator's own message goes to the same thread.
			h.bot.Say(telegramtest.In{ReplyTo: mine.ID, Text: "and more"})
			if got := h.received(a, 3); got[2] != "telegram: and more" {
				t.Errorf("Ayşe sees %q", got)
			}
			if got := h.history(v); !slices.Equal(got, []string{"visitor: two", "telegram: for two"}) {
				t.Errorf("Veli sees %q", got)
			}
		})
	}
}

func TestWhatIsForNobodyGoesToNobody(t *testing.T) {
	var passed atomic.Int64 // offset of the bridge's clock
	h := newEnv(t, telegramtest.Forum(), func(o *telegram.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	})
	ayse, a := h.visitor("Ayşe")
	veli, v := h.visitor("Veli")
	h.write(ayse, a, "one")
	h.write(veli, v, "two")
	sent := h.sent(2)
	tags := make([]string, 2)
	for i, m := range sent {
		tags[i] = m.Text[strings.Index(m.Text, "#thread:"):]
	}
	chatter := h.bot.Say(telegramtest.In{Text: "lunch?"})
	h.sent(3)
	own := h.bot.OpenTopic("Kitchen")
	list := []struct {
		in   telegramtest.In
		want string
	}{
		{telegramtest.In{ReplyTo: chatter.ID, Text: "a reply to an unlinked message"}, "yanıtlayın"},
		{telegramtest.In{Text: tags[0] + " " + tags[1] + " both"}, "birden fazla"},
		{telegramtest.In{Topic: sent[0].Topic, Text: tags[1] + " the topic of one, the tag of the other"}, "birden fazla"},
		{telegramtest.In{Text: "#thread:nothing to see"}, "nothing"},
		{telegramtest.In{Topic: sent[0].Topic, Text: "/clsoe"}, "/help"},
		{telegramtest.In{Topic: own, Text: "in a topic of the team's own"}, "yanıtlayın"},
	}
	for i, c := range list {
		passed.Add(int64(time.Minute))
		h.bot.Say(c.in)
		if m := h.sent(4 + i)[3+i]; !strings.Contains(m.Text, c.want) || m.ReplyTo == nil {
			t.Errorf("notice %d: %+v", i, m)
		}
	}
	// Of several hints within a minute one is sent immediately, as above, and one at the end of the minute.
	for _, c := range list {
		if !strings.HasPrefix(c.in.Text, "/") {
			h.bot.Say(c.in)
		}
	}
	h.settled()
	if n := len(h.bot.Sent()); n != 9 {
		t.Errorf("%d messages from the bot", n)
	}
	passed.Add(int64(time.Minute))
	// Which one is the last varies, because messages of different conversations are handled at the same time.
	if held := h.sent(10)[9]; !strings.Contains(held.Text, "yanıtlayın") && !strings.Contains(held.Text, "nothing") && !strings.Contains(held.Text, "birden fazla") || held.ReplyTo == nil {
		t.Errorf("the notice that was held back: %+v", held)
	}
	stranger := telegramtest.Stranger()
	h.bot.Say(telegramtest.In{Chat: stranger.ID, From: &stranger, Text: tags[0] + " let me in"})
	h.bot.Say(telegramtest.In{Chat: -100999, From: &stranger, Text: tags[0] + " from another group"})
	robot := telegramtest.User{ID: 99, IsBot: true, FirstName: "Other"}
	h.bot.Say(telegramtest.In{Topic: sent[0].Topic, From: &robot, Text: "beep"})
	h.bot.RenameTopic(sent[0].Topic, "renamed")
	pinned := sent[0]
	h.bot.Service(sent[0].Topic, telegramtest.Message{Pinned: &pinned})
	h.bot.Service(sent[0].Topic, telegramtest.Message{Joined: []telegramtest.User{stranger}})
	h.bot.Service(0, telegramtest.Message{NewTitle: "Shop"})
	h.bot.Say(telegramtest.In{Topic: sent[0].Topic, Text: "the end"})
	h.until("the last message", func() bool { return len(h.history(a))+len(h.history(v)) == 3 })
	h.settled()
	for _, m := range h.bot.Sent()[10:] {
		if m.From.ID != robot.ID {
			t.Errorf("the bot says %q", m.Text)
		}
	}
}

func TestEditsAppearOnTheOtherSide(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	topic := h.sent(1)[0].Topic
	mine := h.bot.Say(telegramtest.In{Topic: topic, Text: "Merhab"})
	h.received(a, 2)
	h.bot.Edit(mine.ID, "Merhaba")
	h.until("the edit", func() bool { return h.history(a)[1] == "telegram: Merhaba" })
	h.until("the event", func() bool { return h.recorder.Events(a, "message_edited") == 2 }) // one for each side
	// An agent edits an answer in the console.
	m := h.write(agent, a, "Yrın")
	h.sent(2)
	if _, err := h.chatService.Edit(t.Context(), agent, a, m.ID, "Yarın"); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "the corrected text", func() bool { return strings.Contains(h.bot.Sent()[1].Text, "Yarın") })
	// … also the caption of a picture, and a message that was split.
	picture := h.post(agent, chat.Post{ThreadID: a, Text: "the shp", Type: "image", FileURL: h.upload("image", jpeg(t)).URL})
	long := h.write(agent, a, strings.Repeat("word ", 1500))
	h.sent(5)
	for id, text := range map[int64]string{picture.ID: "the shop", long.ID: strings.Repeat("w@rd ", 1500)} {
		if _, err := h.chatService.Edit(t.Context(), agent, a, id, text); err != nil {
			t.Fatal(err)
		}
	}
	h.bot.Wait(t, patience, "the corrected texts", func() bool {
		s := h.bot.Sent()
		return strings.Contains(s[2].Caption, "the shop") && strings.Contains(s[3].Text, "w@rd") && strings.Contains(s[4].Text, "w@rd")
	})
	// A text that became longer than the limit is sent again, as a reply to the old one.
	if _, err := h.chatService.Edit(t.Context(), agent, a, m.ID, strings.Repeat("longer ", 1000)); err != nil {
		t.Fatal(err)
	}
	again := h.sent(6)[5]
	if n := strings.Count(h.bot.Sent()[1].Text+again.Text, "longer"); again.ReplyTo == nil || again.ReplyTo.ID != h.bot.Sent()[1].ID || n != 1000 {
		t.Errorf("a longer one came with %d words of 1000, and as %+v", n, again)
	}
	// … and the surplus parts of a text that became shorter are deleted.
	if _, err := h.chatService.Edit(t.Context(), agent, a, m.ID, "short"); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "one message less", func() bool { return len(h.bot.Sent()) == 5 && strings.Contains(h.bot.Sent()[1].Text, "short") })
	// A message that was not forwarded can be edited without consequences.
	lost := h.bot.Say(telegramtest.In{Text: "to nobody"})
	h.sent(6)
	h.bot.Edit(lost.ID, "still nobody")
	h.bot.Say(telegramtest.In{Topic: topic, Text: "the end"})
	h.received(a, 6)
	h.settled()
	if n := len(h.bot.Sent()); n != 6 {
		t.Errorf("%d messages from the bot", n)
	}
}

func TestTheSameUpdateTwiceDoesNothing(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	topic := h.sent(1)[0].Topic
	m := h.bot.Say(telegramtest.In{Topic: topic, Text: "once"})
	h.received(a, 2)
	h.bot.Redeliver(m.ID)
	h.bot.Say(telegramtest.In{Topic: topic, Text: "the end"})
	if got := h.received(a, 3); !slices.Equal(got, []string{"visitor: one", "telegram: once", "telegram: the end"}) {
		t.Errorf("Ayşe sees %q", got)
	}
	h.settled()
	if n := len(h.history(a)); n != 3 {
		t.Errorf("%d messages", n)
	}
}

func TestLongTextsAreCutBetweenCharacters(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	family := "👨‍👩‍👧‍👦" // eleven UTF-16 units, one grapheme cluster
	text := strings.Repeat(family, 900)
	h.write(ayse, a, text)
	h.write(ayse, a, "after")
	h.settled()
	var whole strings.Builder
	sent := h.bot.Sent()
	for _, m := range sent[:len(sent)-1] {
		lines := strings.Split(m.Text, "\n")
		if len(lines) != 3 || lines[0] != "💬 Ayşe" || !strings.HasPrefix(lines[2], "#thread:") {
			t.Fatalf("a part reads %q", m.Text)
		}
		if strings.Trim(strings.ReplaceAll(lines[1], family, ""), " ") != "" {
			t.Errorf("a character was cut in two")
		}
		whole.WriteString(lines[1])
	}
	if whole.String() != text || len(sent) != 4 {
		t.Errorf("%d parts hold %d bytes of %d", len(sent)-1, whole.Len(), len(text))
	}
	// A reply to the last part is forwarded.
	h.bot.Say(telegramtest.In{ReplyTo: sent[2].ID, Text: "many families"})
	h.received(a, 3)
}
