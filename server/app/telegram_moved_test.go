package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sohbet/bench/process"
	"sohbet/server/telegram/telegramtest"
)

// The operators' group becomes a supergroup: no message is lost, the operator's messages work immediately and after a restart, and
// /health shows the new id.
func TestTheGroupBecomesASupergroup(t *testing.T) {
	const former, now int64 = -4242, -1004242424242
	options := telegramtest.Options{Chat: telegramtest.Chat{ID: former, Type: "group", Title: "Mağaza"}, Admin: true, ManageTopics: true}
	bot := telegramtest.New(t, options)
	bot.Allow("upgraded")
	dir := t.TempDir()
	env := []string{"SECRET_KEY=" + testKey, "RATE_LIMIT_MESSAGE=off", "RATE_LIMIT_API=off", "RATE_LIMIT_TELEGRAM=off", "METRICS_TOKEN=measure", "TELEGRAM_API_URL=" + bot.URL,
		"TELEGRAM_BOT_TOKEN=" + telegramtest.Token, "TELEGRAM_CHAT_ID=" + strconv.FormatInt(former, 10)}
	s := &shop{Process: process.Start(t, dir, env...), t: t, bot: bot}
	ali := s.visit("Ali")
	ali.say("merhaba")
	tag := short(s.sent("merhaba"))
	bot.Upgrade(now, true)
	bot.Say(telegramtest.In{Text: tag + " hemen"})
	ali.listensTo("message", "hemen")
	ali.say("orada mısınız?")
	m := s.sent("orada mısınız?")
	if m.Topic == 0 || m.Chat.ID != now {
		t.Errorf("%+v", m)
	}
	bot.Say(telegramtest.In{Topic: m.Topic, Text: "buradayız"})
	ali.listensTo("message", "buradayız")
	health := s.fetch("GET", "/health", "", "measure")
	if !strings.Contains(health, "TELEGRAM_CHAT_ID="+strconv.FormatInt(now, 10)) || !strings.Contains(health, `"status":"healthy"`) {
		t.Error(health)
	}
	bot.Say(telegramtest.In{Text: "/doctor"})
	s.sent("TELEGRAM_CHAT_ID=" + strconv.FormatInt(now, 10))
	if n := strings.Count(strings.Join(s.Log(), "\n"), "set TELEGRAM_CHAT_ID to its new id"); n != 1 {
		t.Errorf("the log names the new number %d times", n)
	}
	s.Stop()

	calls := len(bot.Calls())
	s.Process = process.Start(t, dir, env...)
	bot.Say(telegramtest.In{Text: "/status"})
	s.sent("Çevrimiçi ziyaretçi")
	veli := s.visit("Veli")
	veli.say("yeni gelen")
	topic := s.sent("yeni gelen").Topic
	bot.Say(telegramtest.In{Topic: topic, Text: "hoş geldiniz"})
	veli.listensTo("message", "hoş geldiniz")
	for _, c := range bot.Calls()[calls:] {
		if c.Params["chat_id"] == fmt.Sprint(former) {
			t.Errorf("after the restart %s still goes to the old group", c.Method)
		}
	}
	want := fmt.Sprint([]string{"merhaba", "orada mısınız?", "yeni gelen"})
	var got []string
	for _, c := range bot.Calls("sendMessage") {
		for _, text := range []string{"merhaba", "orada mısınız?", "yeni gelen"} {
			if c.Performed && strings.Contains(c.Params["text"], text) && !slices.Contains(got, text) { // a new topic repeats the last messages
				got = append(got, text)
			}
		}
	}
	if fmt.Sprint(got) != want {
		t.Errorf("Telegram has %v", got)
	}
}

// A name that is invisible, or that Telegram refuses, is replaced, and other visitors' topics are not affected.
func TestNamesThatCannotBeShown(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	for i, name := range []string{"\u200b", "\u2800", "\u200d\ufeff", "\u0301\u0302", "\u3164\u115f", "\U000e0020"} {
		text := fmt.Sprintf("kim? %d", i)
		s.visit(name).say(text)
		topics := len(s.bot.Topics())
		if m := s.sent(text); m.Topic == 0 || !strings.HasPrefix(m.Text, "💬 Ziyaretçi\n") {
			t.Errorf("%q: %+v, %d topics", name, m, topics)
		}
	}
	for _, topic := range s.bot.Topics() {
		if topic.Name != "Ziyaretçi" {
			t.Errorf("%+v", topic)
		}
	}
	s.bot.Script(telegramtest.Fault{Method: "createForumTopic", Status: 400, About: "Bad Request: TOPIC_TITLE_INVALID"})
	s.visit("Tuhaf").say("adım tuhaf")
	m := s.sent("adım tuhaf")
	all := s.bot.Topics()
	if last := all[len(all)-1]; m.Topic != last.ID || !strings.HasPrefix(last.Name, "Ziyaretçi ") || len(last.Name) < len("Ziyaretçi 1") {
		t.Errorf("%+v in %+v", m, last)
	}
	ali := s.visit("Ali")
	ali.say("ben de")
	all = s.bot.Topics()
	if m := s.sent("ben de"); m.Topic == 0 || s.bot.Topics()[len(s.bot.Topics())-1].Name != "Ali" {
		t.Errorf("%+v, %+v", m, all)
	}
}

// Permissions granted to the bot are used immediately.
func TestRegainedRightsAreUsedAtOnce(t *testing.T) {
	s := openShop(t, telegramtest.Options{Admin: true})
	ali := s.visit("Ali")
	ali.say("bir")
	if m := s.sent("bir"); m.Topic != 0 {
		t.Fatalf("%+v", m)
	}
	s.bot.Set(func(o *telegramtest.Options) { o.ManageTopics = true })
	s.bot.Wait(t, patience, "the news of the rights to be fetched", func() bool { return s.bot.Pending() == 0 })
	s.bot.Say(telegramtest.In{Text: "/status"}) // processed after it
	s.sent("Durum")
	ali.say("iki")
	if m := s.sent("iki"); m.Topic == 0 {
		t.Errorf("%+v", m)
	}
}
