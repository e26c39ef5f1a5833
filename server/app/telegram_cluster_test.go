package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"sohbet/models/storetest"
	"sohbet/server/telegram/telegramtest"
)

// TestOneBotServesEveryProcess runs four processes on one database and one Redis: the first runs the bot, a visitor is on the
// second, agents on the others. The operator's messages reach them all, and still do after the process with the bot was killed.
func TestOneBotServesEveryProcess(t *testing.T) {
	redis := os.Getenv("SOHBET_TEST_REDIS")
	if redis == "" {
		t.Fatal("SOHBET_TEST_REDIS is not set: run `make test`, or this through .ci/services")
	}
	bot := telegramtest.New(t, telegramtest.Forum())
	database := storetest.Options(t, "postgres").URL
	next := func() *shop {
		return openShopOn(t, bot, telegramtest.Forum(), "DATABASE_URL="+database, "REDIS_URL="+redis)
	}
	leader := next()
	bot.Wait(t, patience, "the bot to listen", bot.Polled)
	second, third, fourth := next(), next(), next()

	ali := second.visit("Ali")
	agents := []*guest{third.agent(), fourth.agent()}
	for _, agent := range agents {
		agent.ask(2, "join_thread", map[string]string{"thread_id": ali.thread})
	}
	ali.say("merhaba")
	for _, agent := range agents {
		agent.listensTo("message_from_visitor", "merhaba")
	}
	first := leader.sent("merhaba")
	bot.Say(telegramtest.In{Topic: first.Topic, Text: "buyurun"})
	for _, one := range append(agents, ali) {
		if h := one.listensTo("message", "buyurun"); h.sender != "telegram" {
			t.Errorf("the operator's answer comes from %q", h.sender)
		}
	}
	for _, agent := range agents {
		agent.listensTo("message_from_telegram", "buyurun")
	}
	agents[0].emit("message", map[string]string{"thread_id": ali.thread, "text": "ben de buradayım"})
	ali.listensTo("message", "ben de buradayım")
	leader.sent("ben de buradayım")
	for i, s := range []*shop{second, third, fourth} {
		if n := s.telegrams(); n != "0" {
			t.Errorf("process %d sent %s messages to Telegram, as did the first", i+2, n)
		}
	}

	leader.Kill()
	ali.say("orada mısınız?")
	second.sent("orada mısınız?")
	bot.Say(telegramtest.In{Topic: first.Topic, Text: "buradayız"})
	for _, one := range append(agents, ali) {
		one.listensTo("message", "buradayız")
	}
	quiet(ali, first.Topic, "buyurun", "ben de buradayım", "buradayız")
}

// agent opens a console, signed in with a code from the bot.
func (s *shop) agent() *guest {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	post := func(path, body string) {
		s.t.Helper()
		res, err := (&http.Client{Jar: jar, Timeout: patience}).Post("http://"+s.Addr+path, "application/json", strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			s.t.Fatalf("%s: %s", path, res.Status)
		}
	}
	before := len(s.bot.Sent())
	post("/request-otp", "{}")
	var otp string
	s.bot.Wait(s.t, patience, "the code", func() bool {
		for _, m := range s.bot.Sent()[before:] {
			otp = cmp.Or(regexp.MustCompile(`\b\d{6}\b`).FindString(m.Text), otp)
		}
		return otp != ""
	})
	post("/verify-otp", `{"otp":"`+otp+`"}`)
	var cookies []string
	for _, c := range jar.Cookies(&url.URL{Scheme: "http", Host: s.Addr}) {
		cookies = append(cookies, c.String())
	}
	g := s.page(http.Header{"Cookie": {strings.Join(cookies, "; ")}})
	g.ask(1, "admin_join")
	return g
}

// ask sends an event with this packet id and waits for its acknowledgement.
func (g *guest) ask(number int, event string, payload ...any) {
	g.t.Helper()
	text, err := json.Marshal(append([]any{event}, payload...))
	if err != nil {
		g.t.Fatal(err)
	}
	g.socket.Send(fmt.Sprintf("42%d%s", number, text))
	g.listensTo("ack", fmt.Sprint(number))
}

// telegrams returns how many messages this process has sent to Telegram.
func (s *shop) telegrams() string {
	s.t.Helper()
	found := regexp.MustCompile(`(?m)^sohbet_telegram_sent_total (\d+)$`).FindStringSubmatch(s.fetch("GET", "/metrics", "", "measure"))
	if found == nil {
		s.t.Fatal("the metrics lack the messages sent to Telegram")
	}
	return found[1]
}
