package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/bench/process"
	"sohbet/server/telegram/telegramtest"
)

const patience = 15 * time.Second // generous: tests share slow machines

func TestMain(m *testing.M) { os.Exit(process.Main(m)) }

// shop is the real binary with a bot.
type shop struct {
	*process.Process
	t   *testing.T
	bot *telegramtest.Server
}

func openShop(t *testing.T, world telegramtest.Options, env ...string) *shop {
	t.Helper()
	return openShopOn(t, telegramtest.New(t, world), world, env...)
}

// openShopOn is openShop with a bot that other processes may have too.
func openShopOn(t *testing.T, bot *telegramtest.Server, world telegramtest.Options, env ...string) *shop {
	t.Helper()
	chat := telegramtest.GroupID
	if world.Chat.ID != 0 {
		chat = world.Chat.ID
	}
	env = append([]string{"SECRET_KEY=" + testKey, "RATE_LIMIT_MESSAGE=off", "RATE_LIMIT_API=off", "RATE_LIMIT_LOGIN=off", "RATE_LIMIT_TELEGRAM=off",
		"LOG_LEVEL=debug", "METRICS_TOKEN=measure", "TELEGRAM_API_URL=" + bot.URL, "TELEGRAM_BOT_TOKEN=" + telegramtest.Token,
		"TELEGRAM_CHAT_ID=" + strconv.FormatInt(chat, 10)}, env...)
	return &shop{Process: process.Start(t, t.TempDir(), env...), t: t, bot: bot}
}

// guest is a visitor's page, or an agent's.
type guest struct {
	*shop
	thread string
	socket *raw.Websocket
	joined chan string
	done   chan struct{}

	mu     sync.Mutex
	change chan struct{} // closed and made anew with each event
	heard  []heard
}

// heard is one event; that something was acked is the event "ack", whose text is the packet's number.
type heard struct {
	name, text, sender, kind, file string
	at                             time.Time
}

// visit opens the page and joins with a name.
func (s *shop) visit(name string) *guest {
	s.t.Helper()
	g := s.page(nil)
	g.emit("join", map[string]string{"display_name": name})
	g.thread = raw.Take(s.t, g.joined, "joined")
	return g
}

// page opens a connection; header is that of the handshake.
func (s *shop) page(header http.Header) *guest {
	s.t.Helper()
	host := &raw.Host{T: s.t, Addr: s.Addr, Path: "/socket.io/", Header: header}
	g := &guest{shop: s, socket: host.Socket(), joined: make(chan string, 1), done: make(chan struct{}), change: make(chan struct{})}
	go g.listen()
	s.t.Cleanup(func() { _ = g.socket.Close(); <-g.done })
	return g
}

func (g *guest) listen() {
	defer close(g.done)
	for {
		packet, err := g.socket.Next()
		var silence net.Error
		if closed := (*raw.ErrClosed)(nil); errors.As(err, &closed) && errors.As(closed.Cause, &silence) && silence.Timeout() {
			continue
		}
		if err != nil {
			return
		}
		if number, _, acked := strings.Cut(packet, "["); acked && strings.HasPrefix(number, "43") {
			g.remember(heard{name: "ack", text: number[2:], at: time.Now()})
			continue
		}
		var event []json.RawMessage
		if !strings.HasPrefix(packet, "42[") || json.Unmarshal([]byte(packet[2:]), &event) != nil || len(event) < 2 {
			continue
		}
		var name string
		var m struct {
			Thread string `json:"thread_id"`
			Text   string `json:"content_text"`
			Sender string `json:"sender_type"`
			Type   string `json:"content_type"`
			File   string `json:"file_url"`
			Status string `json:"status"`
			Error  string `json:"message"`
		}
		if json.Unmarshal(event[0], &name) != nil || json.Unmarshal(event[1], &m) != nil {
			continue
		}
		if name == "joined" {
			g.joined <- m.Thread
		}
		g.remember(heard{name, m.Text + m.Status + m.Error, m.Sender, m.Type, m.File, time.Now()})
	}
}

func (g *guest) remember(h heard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.heard = append(g.heard, h)
	close(g.change)
	g.change = make(chan struct{})
}

func (g *guest) emit(event string, payload any) {
	g.t.Helper()
	text, err := json.Marshal([]any{event, payload})
	if err != nil {
		g.t.Fatal(err)
	}
	g.socket.Send("42" + string(text))
}

func (g *guest) say(text string) { g.t.Helper(); g.emit("message", map[string]string{"text": text}) }

// hears waits for a message with this text and tells when it came.
func (g *guest) hears(name, text string) heard {
	g.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		g.mu.Lock()
		change := g.change
		for _, h := range g.heard {
			if h.name == name && h.text == text {
				g.mu.Unlock()
				return h
			}
		}
		g.mu.Unlock()
		select {
		case <-change:
		case <-timer.C:
			g.mu.Lock()
			defer g.mu.Unlock()
			g.t.Fatalf("no %s %q; heard %+v; the server's last words:\n%s", name, text, g.heard, g.Tail())
		}
	}
}

// all is the text of every message heard so far.
func (g *guest) all() (texts []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.heard {
		if h.name == "message" {
			texts = append(texts, h.text)
		}
	}
	return texts
}

// sent waits until the bot has written a message that holds text, and gives the newest such.
func (s *shop) sent(text string) telegramtest.Message {
	s.t.Helper()
	var found telegramtest.Message
	s.bot.Wait(s.t, patience, "a message on Telegram with "+text, func() bool {
		for _, m := range s.bot.Sent() {
			if strings.Contains(m.Text+m.Caption, text) {
				found = m
			}
		}
		return found.ID != 0
	})
	return found
}

// quiet makes sure that guests hear nothing but what is listed: the operator says a last word to each, and since everything comes in
// order, whatever was to come before it has come.
func quiet(g *guest, topic int, want ...string) {
	g.t.Helper()
	g.bot.Say(telegramtest.In{Topic: topic, Text: "son söz"})
	g.hears("message", "son söz")
	if got, want := fmt.Sprint(g.all()), fmt.Sprint(append(want, "son söz")); got != want {
		g.t.Errorf("the visitor heard %s, wanted %s", got, want)
	}
}

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
	if took := ali.hears("message", "size nasıl yardım edeyim?").at.Sub(began); took > time.Second {
		t.Errorf("the answer took %v", took)
	}
	ali.hears("message_from_admin", "size nasıl yardım edeyim?")
	s.bot.Edit(said.ID, "nasıl yardım edeyim?")
	ali.hears("message_edited", "nasıl yardım edeyim?")
	s.bot.Say(telegramtest.In{Topic: second.Topic, Text: "doğru"})
	if h := veli.hears("message", "doğru"); h.sender != "telegram" || h.kind != "text" {
		t.Errorf("%+v", h)
	}
	quiet(ali, first.Topic, "size nasıl yardım edeyim?")
	quiet(veli, second.Topic, "doğru")
}

// What is not meant for a visitor reaches none.
func TestNobodyIsAnsweredByMistake(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("merhaba")
	m := s.sent("merhaba")
	tag := m.Text[strings.Index(m.Text, "#thread:"):]

	loose := s.bot.Say(telegramtest.In{Text: "bugün hava güzel"})
	s.sent("hiç kimseye gönderilmedi")
	s.bot.Say(telegramtest.In{ReplyTo: loose.ID, Text: "evet, çok güzel"}) // a reply to what is linked to nobody
	s.bot.Say(telegramtest.In{Text: "#thread:2222222 kime?"})
	s.sent("#thread:2222222")
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
	if n := len(s.bot.Sent()); n > hints+1 { // at most the answer to the second loose reply
		t.Errorf("%d more messages: %+v", n-hints, s.bot.Sent()[hints:])
	}
}

func TestTheSameUpdateTwice(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	ali := s.visit("Ali")
	ali.say("merhaba")
	topic := s.sent("merhaba").Topic
	said := s.bot.Say(telegramtest.In{Topic: topic, Text: "bir kere"})
	ali.hears("message", "bir kere")
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
	ali.hears("message", "yeni konu")
	s.bot.CloseTopic(second)
	ali.hears("thread_status", "closed")
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
	for i := range 600 { // a family is 11 UTF-16 units, and none of them may be torn apart
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
	s.sent("This file cannot be sent.")
	quiet(ali, topic)
}

func TestWebhookTakesOnlyTelegramsWord(t *testing.T) {
	hook, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(hook, ":")
	world := telegramtest.Forum()
	world.HTTPWebhook = true
	s := openShop(t, world, "HOST="+host, "PORT="+port, "TELEGRAM_WEBHOOK_URL=http://"+hook)
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
	ali.hears("message", "gerçek")
	quiet(ali, m.Topic, "gerçek")
}

// The token must be in nothing that anybody but Telegram gets to see, whatever goes wrong; neither may a visitor's thread id or words
// be in the log.
func TestTheTokenIsToldNobody(t *testing.T) {
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
		s.bot.Say(telegramtest.In{Text: "/online"}) // which ends the poll, so that the next one meets the fault
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
	ali.hears("message", "cevap")
	for _, path := range []string{"/", "/login", "/admin", "/health", "/health/live", "/health/ready", "/metrics", "/api/metrics", "/api/threads", "/nothing",
		"/bot" + "x/getMe", "/telegram", "/telegram/webhook", "/uploads/none"} {
		seen = append(seen, s.fetch("GET", path, "", "measure"))
	}
	seen = append(seen, s.fetch("POST", "/telegram/webhook", "{}", ""), s.fetch("POST", "/request-otp", "", ""))
	s.Stop()
	log := strings.Join(s.Log(), "\n")
	if !strings.Contains(log, "telegram") {
		t.Error("the log tells nothing of Telegram, so it proves nothing")
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

// fetch gives an answer with its headers.
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

// sendings is everything that was said in Telegram, which people there read.
func sendings(bot *telegramtest.Server) []byte {
	text, err := json.Marshal(bot.Messages())
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// freeAddress is one that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
