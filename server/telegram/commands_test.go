package telegram_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

// ask sends a command and returns the bot's answer.
func (h *bridgeEnv) ask(in telegramtest.In) telegramtest.Message {
	h.t.Helper()
	before := len(h.bot.Sent())
	h.bot.Say(in)
	return h.sent(before + 1)[before]
}

// press presses the button whose data has this prefix, and returns the bot's answer.
func (h *bridgeEnv) press(m telegramtest.Message, verb string) telegramtest.Message {
	h.t.Helper()
	before := len(h.bot.Sent())
	for _, row := range m.ReplyMarkup.Keyboard {
		for _, b := range row {
			if strings.HasPrefix(b.Data, verb) {
				h.bot.Press(m.ID, b.Data)
				return h.sent(before + 1)[before]
			}
		}
	}
	h.t.Fatalf("no button %s under %+v", verb, m)
	return telegramtest.Message{}
}

func TestCommandsAreOfferedInTwoLanguages(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	h.bot.Wait(t, patience, "the commands", func() bool { return h.bot.Commands("tr") != nil && h.bot.Commands("") != nil })
	for lang, want := range map[string]string{"tr": "Konuşmayı kapat", "": "Close the conversation"} {
		var list []struct{ Command, Description string }
		if err := json.Unmarshal(h.bot.Commands(lang), &list); err != nil || len(list) != 13 || !strings.Contains(list[6].Description, want) {
			t.Errorf("in %q: %+v, %v", lang, list, err)
		}
	}
	turkish, english := h.ask(telegramtest.In{Text: "/help"}), telegramtest.Message{}
	from := telegramtest.User{ID: 77, FirstName: "Bob", LanguageCode: "de"}
	english = h.ask(telegramtest.In{Text: "/help@Sohbet_Test_Bot", From: &from})
	if !strings.Contains(turkish.Text, "/close Konuşmayı kapat") || !strings.Contains(english.Text, "/close Close the conversation") {
		t.Errorf("%q\n%q", turkish.Text, english.Text)
	}
	h.bot.Say(telegramtest.In{Text: "/help@another_bot"})
	h.settled()
	if n := len(h.bot.Sent()); n != 2 {
		t.Errorf("%d answers: it answers for others", n)
	}
}

func TestStatusAndAway(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	if _, err := h.store.AddAgent(t.Context(), models.Agent{Name: "Ada", Role: models.RoleOwner}); err != nil {
		t.Fatal(err)
	}
	ayse, a := h.visitor("Ayşe")
	h.chatService.Arrived(ayse, a)
	h.write(ayse, a, "one")
	h.sent(1)
	m := h.ask(telegramtest.In{Text: "/status"})
	for _, want := range []string{"Çevrimiçi ziyaretçi: 1", "Yanıt bekleyen konuşma: 1", "Veritabanı: çalışıyor", "Ekip: çevrimiçi"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("status lacks %q: %q", want, m.Text)
		}
	}
	if away := h.press(m, "offline"); !strings.Contains(away.Text, "Uzaktasınız") || !h.chatService.Away() {
		t.Errorf("%q, away %v", away.Text, h.chatService.Away())
	}
	if again := h.ask(telegramtest.In{Text: "/online"}); !strings.Contains(again.Text, "Çevrimiçisiniz") || h.chatService.Away() {
		t.Errorf("%q, away %v", again.Text, h.chatService.Away())
	}
	h.until("the visitor is notified that Telegram has the message", func() bool { return h.recorder.Events(a, "delivered") == 1 })
	if h.recorder.Events(a, "team_status") != 2 {
		t.Error("the visitor was not notified")
	}
	if well := h.ask(telegramtest.In{Text: "/doctor"}); strings.Count(well.Text, "✅") < 5 || strings.Contains(well.Text, "❌") {
		t.Errorf("the doctor says %q", well.Text)
	}
	h.settled()
	if calls := h.bot.Calls("answerCallbackQuery"); len(calls) != 1 {
		t.Errorf("the button went on spinning: %d answers", len(calls))
	}
}

func TestCloseAndReopen(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	topic := h.sent(1)[0].Topic
	if m := h.ask(telegramtest.In{Text: "/close"}); !strings.Contains(m.Text, "Hangi konuşma") {
		t.Errorf("%q", m.Text)
	}
	closed := h.ask(telegramtest.In{Text: "/close", Topic: topic})
	if !strings.Contains(closed.Text, "kapatıldı") || closed.Topic != topic {
		t.Errorf("%+v", closed)
	}
	h.status(a, models.StatusClosed)
	h.bot.Wait(t, patience, "a closed topic", func() bool { return h.bot.Topics()[0].Closed })
	if h.recorder.Events(a, "thread_status") != 1 {
		t.Error("the visitor was not notified")
	}
	reopened := h.press(closed, "reopen:")
	h.status(a, models.StatusActive)
	if h.bot.Topics()[0].Closed || reopened.Topic != topic {
		t.Errorf("%+v", reopened)
	}
	h.press(h.bot.Sent()[0], "close:") // the button of the visitor's first message
	h.status(a, models.StatusClosed)
	h.settled()
	if got := h.history(a); len(got) != 1 {
		t.Errorf("the visitor sees %q", got)
	}
}

func TestBlock(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "buy this")
	m := h.sent(1)[0]
	blocked := h.ask(telegramtest.In{Text: "/block", ReplyTo: m.ID})
	if !strings.Contains(blocked.Text, "engellendi") {
		t.Errorf("%q", blocked.Text)
	}
	if _, err := h.chatService.Post(t.Context(), ayse, chat.Post{ThreadID: a, Text: "buy that"}); chat.Public(err).Code != apperr.CodeBlocked {
		t.Errorf("after it: %v", err)
	}
	if free := h.press(blocked, "unblock:"); !strings.Contains(free.Text, "kaldırıldı") {
		t.Errorf("%q", free.Text)
	}
	h.write(ayse, a, "sorry")
}

func TestThreadsWithButtons(t *testing.T) {
	h := newEnv(t, telegramtest.Options{Chat: telegramtest.Chat{ID: telegramtest.GroupID, Type: "supergroup", Title: "Mağaza"}, Admin: true})
	if m := h.ask(telegramtest.In{Text: "/threads"}); !strings.Contains(m.Text, "Açık konuşma yok") {
		t.Errorf("%q", m.Text)
	}
	ayse, a := h.visitor("Ayşe & Co")
	h.write(ayse, a, "where is <my> parcel?")
	h.sent(2)
	list := h.ask(telegramtest.In{Text: "/threads"})
	if len(list.ReplyMarkup.Keyboard) != 1 || list.ReplyMarkup.Keyboard[0][0].Text != "● Ayşe & Co (1)" {
		t.Fatalf("%+v", list.ReplyMarkup)
	}
	shown := h.press(list, "show:")
	if !strings.Contains(shown.Text, "Ayşe & Co") || !strings.Contains(shown.Text, "where is <my> parcel?") {
		t.Errorf("%q", shown.Text)
	}
	h.bot.Say(telegramtest.In{ReplyTo: shown.ID, Text: "on its way"})
	if got := h.received(a, 2); got[1] != "telegram: on its way" {
		t.Errorf("the visitor sees %q", got)
	}
	if err := h.store.DeleteThread(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if gone := h.press(list, "show:"); !strings.Contains(gone.Text, "artık yok") {
		t.Errorf("%q", gone.Text)
	}
}

func TestWebhook(t *testing.T) {
	var handler http.HandlerFunc
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r) }))
	defer site.Close()
	o := telegramtest.Forum()
	o.HTTPWebhook = true
	h := newEnv(t, o, func(o *telegram.Options) { o.WebhookURL = site.URL })
	handler = h.bridge.ServeHTTP
	defer h.bot.Unhook()
	h.bot.Wait(t, patience, "the webhook", func() bool { return h.bot.Hooked() == site.URL+telegram.WebhookPath })
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	topic := h.sent(1)[0].Topic
	h.bot.Say(telegramtest.In{Topic: topic, Text: "through the webhook"})
	h.received(a, 2)
	for _, secret := range []string{"", "guess", h.bot.Secret() + "x"} {
		if status, err := h.bot.Forge(site.URL+telegram.WebhookPath, secret, "#thread:xxxxxxx forged"); err != nil || status != http.StatusUnauthorized {
			t.Errorf("secret %q: %d, %v", secret, status, err)
		}
	}
	h.settled()
	if got := h.history(a); len(got) != 2 || len(h.bot.Sent()) != 1 {
		t.Errorf("the visitor sees %q", got)
	}
	if calls := h.bot.Calls("getUpdates"); len(calls) != 0 {
		t.Error("it polls too")
	}
	if strings.Contains(h.log.String(), h.bot.Secret()) {
		t.Error("the secret is in the log")
	}
}

func TestWebhookIsShutWhilePolling(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	w := httptest.NewRecorder()
	h.bridge.ServeHTTP(w, httptest.NewRequest(http.MethodPost, telegram.WebhookPath, strings.NewReader("{}")))
	if w.Code != http.StatusNotFound {
		t.Errorf("answered %d", w.Code)
	}
}

func TestOddUpdatesHarmNothing(t *testing.T) {
	o := telegramtest.Forum()
	o.HTTPWebhook = true
	var handler http.HandlerFunc
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r) }))
	defer site.Close()
	h := newEnv(t, o, func(o *telegram.Options) { o.WebhookURL = site.URL })
	handler = h.bridge.ServeHTTP
	defer h.bot.Unhook()
	h.bot.Wait(t, patience, "the webhook", func() bool { return h.bot.Secret() != "" })
	for i, body := range []string{
		`{"update_id":1,"message":{"message_id":5,"chat":{"id":-1002233445566},"from":{"id":1},"photo":[]}}`,
		`{"update_id":2,"message":{"message_id":"five"}}`,
		`{"update_id":3,"callback_query":{"id":"1","data":"close:x"}}`,
		`{"update_id":4}`,
		`{"update_id":-4}`,
		`not json`,
	} {
		r := httptest.NewRequest(http.MethodPost, telegram.WebhookPath, strings.NewReader(body))
		r.Header.Set("X-Telegram-Bot-Api-Secret-Token", h.bot.Secret())
		w := httptest.NewRecorder()
		h.bridge.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("odd update %d answered %d", i, w.Code)
		}
	}
	h.settled()
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	h.bot.Say(telegramtest.In{Topic: h.sent(1)[0].Topic, Text: "alive"})
	h.received(a, 2)
}

func TestCodes(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	who := auth.Requester{Address: "192.0.2.9", UserAgent: "Mozilla/5.0 <Firefox>"}
	if err := h.bridge.SendCode(t.Context(), "012345", who); err != nil {
		t.Fatal(err)
	}
	m := h.sent(1)[0]
	for _, want := range []string{"012345", who.Address, who.UserAgent} {
		if !strings.Contains(m.Text, want) || m.Topic != 0 {
			t.Errorf("lacks %q: %+v", want, m)
		}
	}
	h.bridge.FailedGuess(t.Context(), who, 3)
	if m := h.sent(2)[1]; !strings.Contains(m.Text, "3. kez") || !strings.Contains(m.Text, who.Address) {
		t.Errorf("%q", m.Text)
	}
	h.bot.SetDown(true)
	start := time.Now()
	err := h.bridge.SendCode(t.Context(), "543210", who)
	if err == nil || strings.Contains(err.Error(), "543210") || strings.Contains(err.Error(), telegramtest.Token) {
		t.Errorf("with Telegram down: %v", err)
	}
	if took := time.Since(start); took > 11*time.Second {
		t.Errorf("it takes %v to say so", took)
	}
	h.bot.SetDown(false)
	if strings.Contains(h.log.String(), "012345") || strings.Contains(h.log.String(), "543210") {
		t.Error("a code is in the log")
	}
}
