package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
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

const patience = 15 * time.Second // generous, because test machines may be slow

func TestMain(m *testing.M) {
	_ = os.Setenv("LC_ALL", "C") // the output of commands is compared in English
	os.Exit(process.Main(m))
}

// shop is the real binary with a fake Telegram bot.
type shop struct {
	*process.Process
	t   *testing.T
	bot *telegramtest.Server
}

func openShop(t *testing.T, options telegramtest.Options, env ...string) *shop {
	t.Helper()
	return openShopOn(t, telegramtest.New(t, options), options, env...)
}

// openShopOn is openShop with a bot that other processes may share.
func openShopOn(t *testing.T, bot *telegramtest.Server, options telegramtest.Options, env ...string) *shop {
	t.Helper()
	return &shop{Process: process.Start(t, t.TempDir(), append(shopEnv(bot, options), env...)...), t: t, bot: bot}
}

// shopEnv returns the environment of a shop.
func shopEnv(bot *telegramtest.Server, options telegramtest.Options) []string {
	chat := telegramtest.GroupID
	if options.Chat.ID != 0 {
		chat = options.Chat.ID
	}
	return []string{"SECRET_KEY=" + testKey, "RATE_LIMIT_MESSAGE=off", "RATE_LIMIT_API=off", "RATE_LIMIT_LOGIN=off", "RATE_LIMIT_TELEGRAM=off",
		"LOG_LEVEL=debug", "METRICS_TOKEN=measure", "TELEGRAM_API_URL=" + bot.URL, "TELEGRAM_BOT_TOKEN=" + telegramtest.Token,
		"TELEGRAM_CHAT_ID=" + strconv.FormatInt(chat, 10)}
}

// guest is a connection of a visitor's page, or of an agent's.
type guest struct {
	*shop
	thread string
	header http.Header // of the handshake
	socket *raw.Websocket
	joined chan string
	done   chan struct{}

	mu       sync.Mutex
	change   chan struct{} // closed and replaced with each event
	received []receivedMessage
}

// receivedMessage is one received event; an acknowledgement is the event "ack", whose text is the packet's id.
type receivedMessage struct {
	name, text, sender, kind, file string
	last                           int64 // id in a mark
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

// page opens a connection; header is sent with the handshake.
func (s *shop) page(header http.Header) *guest {
	s.t.Helper()
	host := &raw.Host{T: s.t, Addr: s.Addr, Path: "/socket.io/", Header: header}
	g := &guest{shop: s, header: header, socket: host.Socket(), joined: make(chan string, 1), done: make(chan struct{}), change: make(chan struct{})}
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
			g.remember(receivedMessage{name: "ack", text: number[2:], at: time.Now()})
			continue
		}
		var event []json.RawMessage
		if !strings.HasPrefix(packet, "42[") || json.Unmarshal([]byte(packet[2:]), &event) != nil || len(event) < 2 {
			continue
		}
		var name string
		var m struct {
			Thread   string `json:"thread_id"`
			Text     string `json:"content_text"`
			Sender   string `json:"sender_type"`
			Type     string `json:"content_type"`
			File     string `json:"file_url"`
			Status   string `json:"status"`
			Error    string `json:"message"`
			Last     int64  `json:"last_id"`
			Reaction string `json:"reaction"`
		}
		if json.Unmarshal(event[0], &name) != nil || json.Unmarshal(event[1], &m) != nil {
			continue
		}
		if name == "joined" {
			g.joined <- m.Thread
		}
		if name == "message_reaction" {
			m.Text = m.Reaction + " " + m.Text
		}
		g.remember(receivedMessage{name, m.Text + m.Status + m.Error, m.Sender, m.Type, m.File, m.Last, time.Now()})
	}
}

func (g *guest) remember(h receivedMessage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.received = append(g.received, h)
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

// listensTo waits for a message with this text and returns it.
func (g *guest) listensTo(name, text string) receivedMessage {
	g.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		g.mu.Lock()
		change := g.change
		for _, h := range g.received {
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
			g.t.Fatalf("no %s %q; heard %+v; the end of the server's log:\n%s", name, text, g.received, g.Tail())
		}
	}
}

// all returns the texts of all messages received so far.
func (g *guest) all() (texts []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.received {
		if h.name == "message" {
			texts = append(texts, h.text)
		}
	}
	return texts
}

// sent waits until the bot has sent a message that contains text, and returns the newest such message.
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

// quiet checks that a guest received only the listed texts: the operator sends a last message, and because messages are ordered,
// everything before it has arrived then.
func quiet(g *guest, topic int, want ...string) {
	g.t.Helper()
	g.bot.Say(telegramtest.In{Topic: topic, Text: "son söz"})
	g.listensTo("message", "son söz")
	if got, want := fmt.Sprint(g.all()), fmt.Sprint(append(want, "son söz")); got != want {
		g.t.Errorf("the visitor received %s, want %s", got, want)
	}
}
