package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"sohbet/server/telegram/telegramtest"
)

func TestOperatorAnswersInTheTopic(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali, veli := s.visit("Ali"), s.visit("Veli & <Oğlu>")
	ali.say("merhaba")
	veli.say("1 < 2 & 3")
	first, second := s.sent("merhaba"), s.sent("1 < 2 & 3")
	if first.Topic == 0 || first.Topic == second.Topic || !strings.HasPrefix(first.Text, "💬 Ali\nmerhaba\n#thread:") || !strings.HasPrefix(second.Text, "💬 Veli & <Oğlu>\n") {
		t.Fatalf("%+v\n%+v", first, second)
	}
	if strings.Contains(first.Text, ali.thread) {
		t.Error("the visitor's credential is in Telegram")
	}
	began := time.Now()
	said := s.bot.Say(telegramtest.In{Topic: first.Topic, Text: "size nasıl yardım edeyim?"})
	if took := ali.listensTo("message", "size nasıl yardım edeyim?").at.Sub(began); took > time.Second {
		t.Errorf("the answer took %v", took)
	}
	ali.listensTo("message_from_admin", "size nasıl yardım edeyim?")
	s.bot.Edit(said.ID, "nasıl yardım edeyim?")
	ali.listensTo("message_edited", "nasıl yardım edeyim?")
	s.bot.Say(telegramtest.In{Topic: second.Topic, Text: "doğru"})
	if h := veli.listensTo("message", "doğru"); h.sender != "telegram" || h.kind != "text" {
		t.Errorf("%+v", h)
	}
	quiet(ali, first.Topic, "size nasıl yardım edeyim?")
	quiet(veli, second.Topic, "doğru")
}

// Messages not meant for a visitor reach none.
func TestRepliesReachOnlyTheirConversation(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("merhaba")
	m := s.sent("merhaba")
	tag := m.Text[strings.Index(m.Text, "#thread:"):]

	loose := s.bot.Say(telegramtest.In{Text: "bugün hava güzel"})
	s.sent("hiç kimseye gönderilmedi")
	s.bot.Say(telegramtest.In{ReplyTo: loose.ID, Text: "evet, çok güzel"}) // a reply to a message that is linked to no visitor
	s.bot.Say(telegramtest.In{Text: "#thread:2222222 kime?"})
	hints := len(s.bot.Sent())
	stranger := telegramtest.Stranger()
	s.bot.Say(telegramtest.In{Chat: telegramtest.StrangerID, From: &stranger, Text: tag + " ben operatörüm"})
	s.bot.Say(telegramtest.In{Chat: -1009998887776, From: &stranger, Text: tag + " ben de"})
	s.bot.Say(telegramtest.In{Chat: telegramtest.StrangerID, From: &stranger, Text: "/close"})
	s.bot.Service(m.Topic, telegramtest.Message{Pinned: &m})
	joined := telegramtest.Operator()
	s.bot.Service(0, telegramtest.Message{Joined: []telegramtest.User{joined}, JoinedOne: &joined})
	s.bot.RenameTopic(m.Topic, "Ali Bey")
	quiet(ali, m.Topic)
	for _, c := range s.bot.Calls() {
		if id := c.Params["chat_id"]; id != "" && id != strconv.FormatInt(telegramtest.GroupID, 10) {
			t.Errorf("%s went to the chat %s", c.Method, id)
		}
	}
	if n := len(s.bot.Sent()); n > hints { // at most one hint per minute for such replies
		t.Errorf("%d more messages: %+v", n-hints, s.bot.Sent()[hints:])
	}
}

func TestTheSameUpdateTwice(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("merhaba")
	topic := s.sent("merhaba").Topic
	said := s.bot.Say(telegramtest.In{Topic: topic, Text: "bir kere"})
	ali.listensTo("message", "bir kere")
	s.bot.Redeliver(said.ID)
	s.bot.Wait(t, patience, "the update to be fetched again", func() bool { return s.bot.Pending() == 0 })
	quiet(ali, topic, "bir kere")
}

func TestTopicsHeal(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	s.bot.Allow("message thread not found")
	s.bot.Allow("TOPIC_CLOSED")
	s.bot.Allow("TOPIC_ID_INVALID")
	ali := s.visit("Ali")
	ali.say("bir")
	first := s.sent("bir").Topic
	s.bot.DeleteTopic(first)
	ali.say("iki")
	second := s.sent("iki").Topic
	if second == 0 || second == first {
		t.Fatalf("topic %d after %d was deleted", second, first)
	}
	s.bot.Say(telegramtest.In{Topic: second, Text: "yeni konu"})
	ali.listensTo("message", "yeni konu")
	s.bot.CloseTopic(second)
	ali.listensTo("thread_status", "closed")
	ali.say("üç")
	if third := s.sent("üç").Topic; third != second || s.bot.Topics()[1].Closed {
		t.Errorf("a closed topic: topic %d, %+v", third, s.bot.Topics())
	}
	quiet(ali, second, "yeni konu")
}

func TestLongTextIsSplitBetweenCharacters(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	var text strings.Builder
	for i := range 600 { // a family emoji is 11 UTF-16 units, and none may be split
		fmt.Fprintf(&text, "😀👨‍👩‍👧‍👦%d&<", i%10)
	}
	whole := text.String()
	ali.say(whole)
	ali.say("bitti")
	s.sent("bitti")
	var got strings.Builder
	parts := 0
	for _, m := range s.bot.Sent() {
		body, ok := strings.CutPrefix(m.Text, "💬 Ali\n")
		if !ok || strings.Contains(m.Text, "bitti") {
			continue
		}
		body = body[:strings.LastIndex(body, "\n#thread:")]
		if strings.HasPrefix(body, "\u200d") || strings.HasSuffix(body, "\u200d") {
			t.Errorf("a character is torn at the border of part %d", parts)
		}
		got.WriteString(body)
		parts++
	}
	if got.String() != whole || parts < 2 {
		t.Errorf("%d parts with %d bytes of %d", parts, got.Len(), len(whole))
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("merhaba")
	topic := s.sent("merhaba").Topic
	s.bot.Say(telegramtest.In{Topic: topic, Document: []byte("film"), Name: "film.mov", Size: 60 << 20})
	s.sent("20 MB")
	s.bot.Say(telegramtest.In{Topic: topic, Document: []byte("MZ\x90\x00 not a program, but it looks like one"), Name: "kurulum.exe"})
	s.sent("bu tür dosyalar kabul edilmiyor")
	english := telegramtest.User{ID: 5550002, FirstName: "Ann", LanguageCode: "en-GB"}
	s.bot.Say(telegramtest.In{Topic: topic, From: &english, Document: []byte("MZ\x90\x00"), Name: "setup.exe"})
	s.sent("This file cannot be sent: ")
	quiet(ali, topic)
}

func TestWebhookTakesOnlyTelegramsWord(t *testing.T) {
	hook, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(hook, ":")
	options := telegramtest.Forum()
	options.HTTPWebhook = true
	s := openShop(t, options, "HOST="+host, "PORT="+port, "TELEGRAM_WEBHOOK_URL=http://"+hook)
	s.bot.Wait(t, patience, "the webhook", func() bool { return s.bot.Hooked() != "" })
	if len(s.bot.Secret()) < 32 || strings.Contains(s.bot.Hooked(), telegramtest.Token) {
		t.Errorf("webhook %s with a secret of %d", s.bot.Hooked(), len(s.bot.Secret()))
	}
	ali := s.visit("Ali")
	ali.say("merhaba")
	m := s.sent("merhaba")
	tag := m.Text[strings.Index(m.Text, "#thread:"):]
	for _, secret := range []string{"", "guess", strings.Repeat("0", 64), s.bot.Secret() + "x", telegramtest.Token} {
		status, err := s.bot.Forge(s.bot.Hooked(), secret, tag+" sahte")
		if err != nil || (status != http.StatusUnauthorized && status != http.StatusForbidden && status != http.StatusNotFound) {
			t.Errorf("with a secret of %d characters: %d %v", len(secret), status, err)
		}
	}
	s.bot.Say(telegramtest.In{Topic: m.Topic, Text: "gerçek"})
	ali.listensTo("message", "gerçek")
	quiet(ali, m.Topic, "gerçek")
}

// The bot token must not appear anywhere outside of calls to Telegram, whatever fails; neither may a visitor's thread id or texts
// appear in the log.
func TestBotTokenIsNeverShown(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	s.bot.Allow("Unauthorized")
	s.bot.Allow("Conflict")
	ali := s.visit("Ali")
	for i, f := range []telegramtest.Fault{
		{Cut: true}, {Status: 500}, {Status: 502}, {Status: 429, RetryAfter: 1}, {Status: 401}, {Status: 403}, {Status: 404}, {Status: 409}, {Cut: true, Performed: true},
	} {
		for _, f.Method = range []string{"sendMessage", "getUpdates"} {
			s.bot.Script(f)
		}
		text := fmt.Sprintf("gizli söz %d", i)
		ali.say(text)
		s.sent(text)
		s.bot.Say(telegramtest.In{Text: "/online"}) // ends the poll, so that the next one meets the fault
		s.bot.Wait(t, patience, "the faults to be met", func() bool { return s.bot.Faults() == 0 && s.bot.Pending() == 0 })
	}
	s.bot.SetDown(true)
	ali.say("kapalıyken")
	seen := []string{s.fetch("POST", "/request-otp", "", "")}
	s.bot.SetDown(false)
	topic := s.sent("kapalıyken").Topic
	s.bot.Script(telegramtest.Fault{Method: "download", Status: 404})
	s.bot.Say(telegramtest.In{Topic: topic, Document: []byte("%PDF-1.4 gizli"), Name: "fatura.pdf"})
	s.bot.Say(telegramtest.In{Topic: topic, Text: "cevap"})
	ali.listensTo("message", "cevap")
	for _, path := range []string{"/", "/login", "/admin", "/health", "/health/live", "/health/ready", "/metrics", "/api/metrics", "/api/threads", "/nothing",
		"/bot" + "x/getMe", "/telegram", "/telegram/webhook", "/uploads/none"} {
		seen = append(seen, s.fetch("GET", path, "", "measure"))
	}
	seen = append(seen, s.fetch("POST", "/telegram/webhook", "{}", ""), s.fetch("POST", "/request-otp", "", ""))
	s.Stop()
	log := strings.Join(s.Log(), "\n")
	if !strings.Contains(log, "telegram") {
		t.Error("the log has no lines about Telegram, so the test proves nothing")
	}
	_, half, _ := strings.Cut(telegramtest.Token, ":")
	for what, secret := range map[string]string{"the token": telegramtest.Token, "half of the token": half, "the token, quoted": url.QueryEscape(telegramtest.Token)} {
		for _, text := range append(seen, log, string(sendings(s.bot))) {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s is in …%s…", what, strings.ReplaceAll(text[max(0, at-200):at], secret, "*"))
			}
		}
	}
	for what, secret := range map[string]string{"a visitor's thread id": ali.thread, "what a visitor wrote": "gizli söz", "what the operator wrote": "cevap"} {
		if at := strings.Index(log, secret); at >= 0 {
			t.Errorf("%s is in the log: …%s…", what, log[max(0, at-200):at])
		}
	}
}

// fetch returns a response with its headers.
func (s *shop) fetch(method, path, body, bearer string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.Addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(path, " ", res.Status, res.Header, string(text))
}

// sendings returns everything that the bot sent, which operators read.
func sendings(bot *telegramtest.Server) []byte {
	text, err := json.Marshal(bot.Messages())
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// freeAddress returns an address that no server listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
