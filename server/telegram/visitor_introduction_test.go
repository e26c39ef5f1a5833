package telegram_test

import (
	"fmt"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/media"
	"sohbet/server/telegram/telegramtest"
)

// profiled joins with a complete profile.
func (h *bridgeEnv) profiled(name string, p chat.Profile) (chat.Actor, string) {
	h.t.Helper()
	a := chat.Actor{Role: chat.Visitor, SocketID: "visitor-" + name, Address: "192.0.2.1", Threads: chat.NewThreadSet()}
	p.DisplayName = name
	j, err := h.chatService.Join(h.t.Context(), a, chat.JoinRequest{Profile: p})
	if err != nil {
		h.t.Fatal(err)
	}
	return a, j.ThreadID
}

func TestTheFirstMessageOfATopicShowsTheVisitor(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	known := chat.Profile{
		PageURL: "https://shop.example/a?b=1&c=<2>", PageTitle: "Shoes & <b>more</b>", Locale: "tr-TR", PhoneNumber: "+90 555 000 00 00",
	}
	ayse, a := h.profiled("Ayşe", known)
	email := "ayse@example.com"
	if _, err := h.store.UpdateThread(t.Context(), a, models.ThreadPatch{Email: &email}); err != nil {
		t.Fatal(err)
	}
	h.write(ayse, a, "one")
	h.sent(1)
	h.settled()
	h.write(ayse, a, "two")
	first, second := h.sent(2)[0].Text, h.sent(2)[1].Text
	lines := strings.Split(first, "\n")
	want := []string{"💬 Ayşe", "one", "Sayfa: Shoes & <b>more</b> https://shop.example/a?b=1&c=<2>", "Dil: tr-TR", "Telefon: +90 555 000 00 00", "E-posta: ayse@example.com"}
	if len(lines) != 7 || strings.Join(lines[:6], "\n") != strings.Join(want, "\n") || !strings.HasPrefix(lines[6], "#thread:") {
		t.Errorf("the first message reads %q", first)
	}
	if !strings.HasPrefix(second, "💬 Ayşe\ntwo\n#thread:") {
		t.Errorf("the second message reads %q", second)
	}
	// Editing the first message keeps its details.
	_, c := h.profiled("Cem", chat.Profile{Locale: "de"})
	answer := h.write(agent, c, "Hallo")
	h.sent(3)
	h.settled()
	if _, err := h.chatService.Edit(t.Context(), agent, c, answer.ID, "Guten Tag"); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "the correction", func() bool {
		return strings.HasPrefix(h.bot.Sent()[2].Text, "🖥 Panel → Cem\nGuten Tag\nDil: de\n#thread:")
	})
	// Unknown details have no line, and earlier conversations are counted.
	again, b := h.profiled("Ayşe again", chat.Profile{PhoneNumber: known.PhoneNumber, PageURL: "https://shop.example/" + strings.Repeat("long", 400)})
	h.write(again, b, "it is me")
	got := h.sent(4)[3].Text
	lines = strings.Split(got, "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[2], "Sayfa: https://shop.example/long") || len(lines[2]) > 300 || !strings.HasPrefix(lines[3], "Telefon: ") ||
		!strings.HasPrefix(lines[4], "Önceki konuşmalar: 1 (20") {
		t.Errorf("the first message of another conversation reads %q", got)
	}
}

// Details that do not fit below the text are sent before it, and the text is complete.
func TestDetailsThatDoNotFitComeBefore(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.profiled("Ayşe", chat.Profile{PageURL: "https://shop.example/" + strings.Repeat("x", 200)})
	h.write(ayse, a, strings.Repeat("word ", 805)) // 4025 of 4096
	h.sent(2)
	h.settled()
	if sent := h.bot.Sent(); len(sent) != 2 || !strings.HasPrefix(sent[0].Text, "👤 Ayşe\nSayfa: https://shop.example/xx") || strings.Count(sent[1].Text, "word") != 805 ||
		strings.Contains(sent[1].Text, "Sayfa") || sent[1].ReplyMarkup == nil {
		t.Errorf("%+v", sent)
	}
	h.bot.Say(telegramtest.In{ReplyTo: h.bot.Sent()[0].ID, Text: "answered"})
	h.received(a, 2)
	// … and before a picture with a long caption, but within a short caption.
	for i, caption := range []string{strings.Repeat("word ", 190), "short"} {
		bora, b := h.profiled(fmt.Sprint("Bora ", i), chat.Profile{PageURL: "https://shop.example/" + strings.Repeat("x", 200)})
		before := len(h.bot.Sent())
		h.post(bora, chat.Post{ThreadID: b, Text: caption, Type: "image", FileURL: h.upload(media.Image, jpeg(t)).URL})
		h.bot.Wait(t, patience, "the picture", func() bool { m := h.bot.Sent(); return len(m[len(m)-1].Photo) > 0 && len(m) > before })
		h.settled()
		sent := h.bot.Sent()[before:]
		last := sent[len(sent)-1]
		if len(sent) != 2-i || strings.Contains(last.Caption, "Sayfa: ") != (i == 1) || !strings.Contains(last.Caption, strings.TrimSpace(caption)) {
			t.Errorf("%d: %+v", i, sent)
		}
	}
}

// A topic deleted in Telegram is created again, and starts with the last messages of the conversation.
func TestARecreatedTopicRepeatsTheLastLines(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	h.bot.Allow("message thread not found")
	ayse, a := h.profiled("Ayşe", chat.Profile{Locale: "tr"})
	for i := range 4 {
		h.write(ayse, a, fmt.Sprintf("line %d", i))
	}
	h.write(agent, a, "an answer\nof two lines <b>")
	h.settled()
	h.bot.Say(telegramtest.In{Topic: h.bot.Topics()[0].ID, Text: strings.Repeat("long ", 200)})
	h.received(a, 6)
	h.settled()
	h.bot.DeleteTopic(h.bot.Topics()[0].ID)
	picture := h.upload(media.Image, jpeg(t)).URL
	h.post(ayse, chat.Post{ThreadID: a, Text: "are you there?", Type: "image", FileURL: picture})
	h.write(ayse, a, "hello?")
	h.bot.Wait(t, patience, "the new topic", func() bool { return h.said("hello?") == 1 })
	h.settled()
	sent := h.bot.Sent() // of the new topic, because the other is deleted
	if len(sent) != 3 || sent[0].Topic != h.bot.Topics()[1].ID {
		t.Fatalf("%+v", sent)
	}
	lines := strings.Split(sent[0].Text, "\n")
	want := []string{"👤 Ayşe", "Konuşmanın son satırları:", "Ayşe: line 1", "Ayşe: line 2", "Ayşe: line 3", "Siz: an answer of two lines <b>"}
	if len(lines) != 9 || strings.Join(lines[:6], "\n") != strings.Join(want, "\n") || !strings.HasPrefix(lines[6], "Siz: long") || len(lines[6]) > 270 ||
		lines[7] != "Dil: tr" || !strings.HasPrefix(lines[8], "#thread:") {
		t.Errorf("it begins with %q", sent[0].Text)
	}
	if len(sent[1].Photo) == 0 || strings.Contains(sent[1].Caption+sent[2].Text, "Dil:") || sent[1].ReplyMarkup == nil {
		t.Errorf("and goes on with %+v", sent[1:])
	}
	// The next message does not repeat the introduction, also after a restart.
	h.stop()
	h.start()
	h.write(ayse, a, "still there")
	h.bot.Wait(t, patience, "one more", func() bool { return h.said("still there") == 1 })
	h.settled()
	if n := len(h.bot.Sent()); n != 4 {
		t.Errorf("%d messages in the topic", n)
	}
}
