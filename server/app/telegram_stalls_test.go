package app

import (
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/bench/process"
	"sohbet/server/chat"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

// soon is the time within which other conversations must make progress while one is stalled. The target is five seconds, but test
// machines may be slow.
const soon = 15 * time.Second

// waits fails unless cond becomes true within a time.
func (s *shop) waits(what string, within time.Duration, cond func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(within); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s did not come true; the server's last words:\n%s", what, s.Tail())
		}
	}
}

// arrived reports whether a message in the Telegram chat contains a text.
func (s *shop) arrived(text string) bool {
	return slices.ContainsFunc(s.bot.Sent(), func(m telegramtest.Message) bool { return strings.Contains(m.Text+m.Caption, text) })
}

// check returns the Telegram check of /health.
func (s *shop) check() (found struct{ Status, Reason, Detail, Cure string }) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.Addr+"/health", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer measure")
	_, text := s.send(r)
	var all struct{ Checks map[string]json.RawMessage }
	if err := json.Unmarshal(text, &all); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(all.Checks["telegram"], &found); err != nil {
		s.t.Fatal(err)
	}
	return found
}

// An error that concerns the bot or the chat loses no message: all stay queued, /health names how to fix it, the visitor sees no
// message as delivered, and after the fix all are sent without a restart.
func TestNoMessageIsLostByTroubleOfTheBot(t *testing.T) {
	t.Parallel()
	barred := func(text string) func(*telegramtest.Options) {
		return func(o *telegramtest.Options) { o.Barred = text }
	}
	page := func(status int) telegramtest.Fault {
		return telegramtest.Fault{Method: "sendMessage", Status: status, Page: true, Times: -1}
	}
	dir := t.TempDir()
	s := openShopIn(t, dir, telegramtest.New(t, telegramtest.Forum()), telegramtest.Forum())
	s.bot.Allow("bot was kicked")
	ali := s.visit("Ali")
	ali.say("önce")
	s.sent("önce")
	ali.listensTo("delivered", "")
	agent := s.agent()
	console := func() (state struct{ Channels []chat.ChannelState }) {
		if err := json.Unmarshal([]byte(agent.call("GET", "/api/undelivered", "")), &state); err != nil || len(state.Channels) != 1 {
			t.Fatalf("%+v, %v", state, err)
		}
		return state
	}
	_, port, _ := net.SplitHostPort(s.Addr)
	doctor := func() (code int, said string) {
		env := append(shopEnv(s.bot, telegramtest.Forum()), "HOST=127.0.0.1", "PORT="+port, "DATA_DIR="+dir, "DEFAULT_LOCALE=en")
		return process.Run(t, dir, env, "doctor")
	}
	var want []string
	for _, c := range []struct {
		name   string
		set    func(*telegramtest.Options)
		fault  telegramtest.Fault
		reason string
	}{
		{name: "restricted", set: func(o *telegramtest.Options) { o.Restricted = true }, reason: "telegram_rights"},
		{name: "CHAT_RESTRICTED", set: barred("CHAT_RESTRICTED"), reason: "telegram_rights"},
		{name: "admin required", set: barred("CHAT_ADMIN_REQUIRED"), reason: "telegram_rights"},
		{name: "banned", set: barred("USER_BANNED_IN_CHANNEL"), reason: "telegram_rights"},
		{name: "private", set: barred("CHANNEL_PRIVATE"), reason: "telegram_absent"},
		{name: "peer", set: barred("PEER_ID_INVALID"), reason: "telegram_absent"},
		{name: "no plain text", set: barred("CHAT_SEND_PLAIN_FORBIDDEN"), reason: "telegram_rights"},
		{name: "reopen the topic", set: barred("not enough rights to reopen the topic"), reason: "telegram_topics"},
		{name: "unheard of", set: barred("SOMETHING_NEW"), reason: "telegram_refused"},
		{name: "kicked", set: func(o *telegramtest.Options) { o.Kicked = true }, reason: "telegram_absent"},
		{name: "a page, 400", fault: page(400), reason: "telegram_between"},
		{name: "a page, 407", fault: page(407), reason: "telegram_between"},
		{name: "a page, 413", fault: page(413), reason: "telegram_between"},
		{name: "a page, 451", fault: page(451), reason: "telegram_between"},
		{name: "a page, 500", fault: page(500), reason: "telegram_fault"},
	} {
		if c.set != nil {
			s.bot.Set(c.set)
		} else {
			s.bot.Script(c.fault)
		}
		delivered := ali.mark()
		for i := range 2 {
			want = append(want, fmt.Sprintf("mesaj %s %d", c.name, i))
			ali.say(want[len(want)-1])
		}
		s.waits(c.name+": a red light", patience, func() bool { return s.check().Reason == c.reason })
		if found := s.check(); found.Status != "warning" || found.Cure == "" || found.Detail == "" {
			t.Errorf("%s: health says %+v", c.name, found)
		}
		if state := console().Channels[0]; state.OK || state.Reason != c.reason || state.Cure == "" {
			t.Errorf("%s: the console received %+v", c.name, state)
		}
		if code, said := doctor(); code != 1 || !strings.Contains(said, s.check().Cure) {
			t.Errorf("%s: the doctor ends with %d and says\n%s", c.name, code, said)
		}
		if c.name != "kicked" { // outside of the group it receives nothing
			calls := len(s.bot.Calls())
			s.bot.Say(telegramtest.In{Text: "/doctor"}) // the reply cannot be delivered, but its text is recorded
			cure := html.EscapeString(telegram.Explain(c.reason, "", "tr").Cure)
			s.waits(c.name+": /doctor is red", patience, func() bool {
				return slices.ContainsFunc(s.bot.Calls()[calls:], func(call telegramtest.Call) bool {
					return strings.Contains(call.Params["text"], "❌") && strings.Contains(call.Params["text"], cure)
				})
			})
		}
		if mark := ali.mark(); mark != delivered {
			t.Errorf("%s: the mark went from %d to %d, and nothing arrived", c.name, delivered, mark)
		}
		s.bot.NoFaults()
		s.bot.Set(func(o *telegramtest.Options) { o.Restricted, o.Kicked, o.Barred = false, false, "" })
		s.waits(c.name+": the messages", time.Minute, func() bool { return s.arrived(want[len(want)-1]) })
		s.waits(c.name+": a green light", patience, func() bool { return s.check().Status == "ok" })
		if state := console().Channels[0]; !state.OK {
			t.Errorf("%s is over: the console received %+v", c.name, state)
		}
		if code, said := doctor(); code != 0 || strings.Contains(said, "✗") {
			t.Errorf("%s is over: the doctor ends with %d and says\n%s", c.name, code, said)
		}
		sent := len(s.bot.Sent())
		s.bot.Say(telegramtest.In{Text: "/doctor"})
		s.waits(c.name+" is over: /doctor is green", patience, func() bool {
			return slices.ContainsFunc(s.bot.Sent()[sent:], func(m telegramtest.Message) bool {
				return strings.Contains(m.Text, "✅") && !strings.Contains(m.Text, "❌")
			})
		})
		s.waits(c.name+": the mark", patience, func() bool { return ali.mark() == delivered+2 }) // no other message is posted
	}
	var got []string
	for _, m := range s.bot.Sent() {
		for line := range strings.Lines(m.Text) {
			if strings.HasPrefix(line, "mesaj") {
				got = append(got, strings.TrimSpace(line))
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("arrived %q", got)
	}
}

// mark returns the id up to which the visitor was notified of delivery.
func (g *guest) mark() (last int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.received {
		if h.name == "delivered" {
			last = max(last, h.last)
		}
	}
	return last
}

// count returns the number of received events with a name.
func (g *guest) count(name string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.received {
		if h.name == name {
			n++
		}
	}
	return n
}

// Whatever stalls one conversation, the others continue in both directions.
func TestAStallHoldsItsConversationOnly(t *testing.T) {
	s := openShop(t, telegramtest.Forum())
	for i, c := range []struct {
		name  string
		fault telegramtest.Fault
	}{
		{"a download that hangs", telegramtest.Fault{Method: "download", Delay: time.Hour}},
		{"a silent getFile", telegramtest.Fault{Method: "getFile", Delay: time.Hour}},
		{"a silent sendMessage", telegramtest.Fault{Method: "sendMessage", Text: "takılan", Delay: time.Hour}},
		{"an upload that hangs", telegramtest.Fault{Method: "sendPhoto", Delay: time.Hour}},
		{"a silent topic", telegramtest.Fault{Method: "createForumTopic", Delay: time.Hour}},
		{"a 403 for one text", telegramtest.Fault{Method: "sendMessage", Text: "takılan", Status: 403, About: "Forbidden: bot was kicked from the supergroup chat", Times: -1}},
		{"a 500 for one text", telegramtest.Fault{Method: "sendMessage", Text: "takılan", Status: 500, Times: -1}},
		{"a page for one text", telegramtest.Fault{Method: "sendMessage", Text: "takılan", Status: 403, Page: true, Times: -1}},
		{"a cut for one text", telegramtest.Fault{Method: "sendMessage", Text: "takılan", Cut: true, Times: -1}},
	} {
		ali, veli := s.visit("Ali"), s.visit("Veli")
		ours, theirs, fresh, reply := fmt.Sprintf("merhaba Ali %d", i), fmt.Sprintf("merhaba Veli %d", i), fmt.Sprintf("yeni %d", i), fmt.Sprintf("cevap %d", i)
		veli.say(theirs)
		topic := s.sent(theirs).Topic
		if c.fault.Method != "createForumTopic" {
			ali.say(ours)
			s.sent(ours)
		}
		before := len(s.bot.Calls(c.fault.Method))
		s.bot.Script(c.fault)
		switch c.fault.Method {
		case "download", "getFile":
			s.bot.Say(telegramtest.In{Topic: s.sent(ours).Topic, Photo: photo(t)})
			s.bot.Say(telegramtest.In{Topic: s.sent(ours).Topic, Text: "sonra gelen"})
		case "sendPhoto":
			ali.emit("message", map[string]string{"type": "image", "file_url": s.upload("image", "resim.png", photo(t))})
		default:
			ali.say("takılan")
		}
		s.waits(c.name, patience, func() bool {
			return c.fault.Times == 0 && s.bot.Faults() == 0 || c.fault.Times < 0 && len(s.bot.Calls(c.fault.Method)) > before
		})
		began := time.Now()
		veli.say(fresh)
		s.waits(c.name+": another visitor's message", soon, func() bool { return s.arrived(fresh) })
		out := time.Since(began)
		began = time.Now()
		s.bot.Say(telegramtest.In{Topic: topic, Text: reply})
		veli.listensTo("message", reply)
		t.Logf("%s: another visitor's message took %v, another answer %v", c.name, out.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		if slices.Contains(ali.all(), "sonra gelen") {
			t.Errorf("%s: what came after the file passed it", c.name)
		}
		s.bot.NoFaults()
	}
}

// A message that Telegram never accepts is set aside, is shown to agents and can be retried; later messages are delivered.
func TestUndeliverableMessageIsSetAside(t *testing.T) {
	t.Parallel()
	s := openShop(t, telegramtest.Forum())
	agent := s.agent()
	ali := s.visit("Ali")
	ali.say("merhaba")
	s.sent("merhaba")
	s.bot.Script(telegramtest.Fault{Method: "sendMessage", Text: "takılan", Status: 500, Times: -1})
	ali.say("takılan")
	ali.say("sonraki")
	s.waits("the next message", 90*time.Second, func() bool { return s.arrived("sonraki") })
	s.sent("gösterilemiyor") // the notice about the message that was set aside
	agent.hearsAny("message_undelivered", patience)
	var list struct {
		Undelivered []struct {
			ThreadID  string `json:"thread_id"`
			MessageID int64  `json:"message_id"`
			Channel   string `json:"channel"`
			Reason    string `json:"reason"`
		} `json:"undelivered"`
	}
	if err := json.Unmarshal([]byte(agent.call("GET", "/api/undelivered", "")), &list); err != nil || len(list.Undelivered) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	one := list.Undelivered[0]
	if one.ThreadID != ali.thread || one.Channel != "telegram" || one.Reason == "" || strings.Contains(one.Reason, "takılan") {
		t.Errorf("undelivered %+v", one)
	}
	if found := s.check(); found.Status != "warning" || found.Reason != "telegram_aside" || found.Cure == "" {
		t.Errorf("health says %+v", found)
	}
	s.bot.NoFaults()
	body := fmt.Sprintf(`{"thread_id":%q,"message_id":%d}`, one.ThreadID, one.MessageID)
	if answer := agent.call("POST", "/api/undelivered/send", body); !strings.Contains(answer, `"success":true`) {
		t.Error(answer)
	}
	s.sent("takılan")
	s.waits("a green light", patience, func() bool { return s.check().Status == "ok" })
}

// hearsAny waits for an event with a name.
func (g *guest) hearsAny(name string, within time.Duration) {
	g.t.Helper()
	g.waits(name, within, func() bool { return g.count(name) > 0 })
}

// call sends a request as a signed-in agent and returns the body.
func (g *guest) call(method, path, body string) string {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.Addr+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = g.header.Clone()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://"+g.Addr)
	_, text := g.send(r)
	return string(text)
}
