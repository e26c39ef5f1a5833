package app

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sohbet/models/storetest"
	"sohbet/server/telegram/telegramtest"
)

// TestSiteWithABot runs the whole program with a bot: outgoing and incoming messages, and that the token does not leak.
func TestSiteWithABot(t *testing.T) {
	bot := telegramtest.New(t, telegramtest.Forum())
	options := storetest.Options(t, "sqlite")
	options.Telegram = true
	store := storetest.Reopen(t, options)
	seed(t, store, threadA, "Ada")
	s := open(t, store, "TELEGRAM_BOT_TOKEN", telegramtest.Token, "TELEGRAM_CHAT_ID", "-1002233445566", "TELEGRAM_API_URL", bot.URL,
		"RATE_LIMIT_TELEGRAM", "off", "METRICS_TOKEN", "metrics-secret")
	s.runWorkers(t)
	var seen bytes.Buffer // everything that the site responds
	do := func(c *http.Client, method, path, body string, headers ...string) reply {
		t.Helper()
		r := s.do(t, c, method, path, body, headers...)
		seen.WriteString(r.body)
		return r
	}

	c := s.browser(t)
	if r := do(c, "POST", "/request-otp", `{}`); r.status != 200 || !strings.Contains(r.body, "Telegram") {
		t.Fatalf("asked: %d %s", r.status, r.body)
	}
	bot.Wait(t, 10*time.Second, "the code", func() bool { return len(bot.Sent()) == 1 })
	code := regexp.MustCompile(`\d{6}`).FindString(bot.Sent()[0].Text)
	if r := do(c, "POST", "/verify-otp", `{"otp":"`+code+`"}`); r.status != 200 {
		t.Errorf("with the code from Telegram: %d %s", r.status, r.body)
	}
	if strings.Contains(s.log.String(), code) {
		t.Error("the code is in the log too")
	}

	if r := do(s.browser(t), "POST", "/api/messages/send", `{"text":"where is my parcel?"}`, "Authorization", "Bearer "+threadA); r.status != 200 {
		t.Fatalf("sent: %d %s", r.status, r.body)
	}
	bot.Wait(t, 10*time.Second, "the message", func() bool { return strings.Contains(bot.Sent()[len(bot.Sent())-1].Text, "where is my parcel?") })
	all := bot.Sent()
	bot.Say(telegramtest.In{Topic: all[len(all)-1].Topic, Text: "on its way"})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if r := do(c, "GET", "/api/messages/"+threadA, ""); strings.Contains(r.body, "on its way") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the answer does not arrive")
		}
	}
	var health struct {
		Status string
		Checks map[string]struct {
			Status, Detail string
			LastContact    time.Time `json:"last_contact"`
		}
	}
	r := do(c, "GET", "/health", "", "Authorization", "Bearer metrics-secret")
	if r.into(t, &health); r.status != 200 || health.Checks["telegram"].Status != "ok" || time.Since(health.Checks["telegram"].LastContact) > time.Minute {
		t.Errorf("health: %d %s", r.status, r.body)
	}
	r = do(c, "GET", "/metrics", "", "Authorization", "Bearer metrics-secret")
	if !regexp.MustCompile(`(?m)^sohbet_telegram_sent_total [1-9]`).MatchString(r.body) || !strings.Contains(r.body, "\nsohbet_telegram_waiting ") {
		t.Error("the bridge is not in the metrics")
	}

	bot.SetDown(true)
	r = do(s.browser(t), "POST", "/request-otp", `{}`, "Accept-Language", "en")
	if r.status != http.StatusServiceUnavailable || r.code() != "CODE_NOT_DELIVERED" || !strings.Contains(r.body, "Telegram cannot be reached") {
		t.Errorf("with Telegram down: %d %s", r.status, r.body)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if r = do(c, "GET", "/health", "", "Authorization", "Bearer metrics-secret"); strings.Contains(r.body, "Telegram cannot be reached") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("health with Telegram down: %s", r.body)
		}
	}
	if r.into(t, &health); r.status != 200 || health.Status != "degraded" {
		t.Errorf("visitors and agents can talk, but health says %d %s", r.status, r.body)
	}
	bot.SetDown(false)
	if found := s.becomes(t, "telegram", "ok"); found.Status != "healthy" {
		t.Errorf("with Telegram back: %+v", found)
	}
	for what, text := range map[string]string{"an answer": seen.String(), "the log": s.log.String()} {
		if strings.Contains(text, telegramtest.Token) || strings.Contains(text, strings.SplitN(telegramtest.Token, ":", 2)[1]) {
			t.Errorf("the token is in %s", what)
		}
	}
}
