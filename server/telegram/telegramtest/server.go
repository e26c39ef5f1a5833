// Package telegramtest is a strict stand-in for Telegram's Bot API over real HTTP, for tests. It answers as the documented API
// (https://core.telegram.org/bots/api, with the error texts that the real server sends) and reports every call that the real
// API would refuse, unless the test announced that refusal with Allow. What was sent to it can be read back in order; the
// operator's side of Telegram (writing, editing, pressing buttons, closing topics) is played through methods of Server.
package telegramtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Token is the bot token that a Server answers to when Options names none. It has a real token's shape.
const Token = "7123456789:AAF1sTf0rT3sts0nly-abcdefghijklmnopq"

// Reporter hears of calls that the real API would refuse; testing.TB is one.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Options is what the fake world looks like. Set changes it while the server runs.
type Options struct {
	Token string // Token if empty
	Bot   User   // filled in if zero
	Chat  Chat   // the operators' chat; a forum supergroup if zero

	// The bot's place in Chat. All false is an ordinary member in privacy mode.
	Admin        bool // administrator
	ManageTopics bool // … with the right to manage topics
	NoDelete     bool // … without the right to delete messages, which an administrator with ManageTopics has otherwise
	Absent       bool // not in the chat at all: "chat not found"
	Kicked       bool // thrown out: 403

	WriteInClosed bool // closed topics take the bot's messages, as the real ones do for administrators with ManageTopics; else TOPIC_CLOSED
	HTTPWebhook   bool // webhooks may be plain http on any port, as on a self-hosted server
	// Barred is why the bot may not write into Chat, such as "CHAT_RESTRICTED": Chat can be read, but every call that writes is
	// answered with it. Restricted is the same with what getChatMember says of it; its reason is the Bot API server's.
	Barred     string
	Restricted bool

	PerMinute   int           // messages that Chat takes in a minute before 429; 0 = no limit (Telegram's own is 20 in a group)
	Minute      time.Duration // how long PerMinute's minute lasts; 0 = a minute
	ClockOffset time.Duration // how far the Date header is off
}

// Forum is a world with a forum supergroup in which the bot is an administrator that manages topics.
func Forum() Options { return Options{Admin: true, ManageTopics: true} }

// Private is a world in which the operator talks with the bot alone.
func Private() Options {
	return Options{Chat: Chat{ID: OperatorID, Type: "private", FirstName: "Ayşe"}}
}

// Server is one fake Bot API. All methods may be called from any goroutine.
type Server struct {
	URL string // http://127.0.0.1:port, without a slash at the end: TELEGRAM_API_URL

	report  Reporter
	http    *http.Server
	done    chan struct{} // closed when Serve has returned
	closing chan struct{}
	once    sync.Once

	mu       sync.Mutex
	opts     Options
	changed  chan struct{} // closed and made anew whenever something happened
	calls    []Call
	blame    []string // what was reported
	allowed  []string
	chats    map[int64]*chat
	users    map[int64]User
	files    map[string]*file
	commands map[string]json.RawMessage
	presses  map[string]bool // callback query id → answered

	faults   []*Fault
	random   *rand.Rand
	rates    Rates
	down     bool
	upgraded map[int64]int64 // groups that became supergroups, with the id of those
	floods   map[int64]flood
	minutes  []time.Time

	updates  []update
	nextID   int
	carriers map[int]update // the update that brought each message of the operators' chat
	kinds    map[string]bool
	poller   chan struct{} // closed when another poller takes over
	webhook  *webhook
	hooks    sync.WaitGroup
	sequence int
}

// New starts a server that lives as long as the test and reports to it.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(t, "127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start listens on addr. The caller closes the server.
func Start(r Reporter, addr string, o Options) (*Server, error) {
	if o.Token == "" {
		o.Token = Token
	}
	if o.Bot.ID == 0 {
		o.Bot = User{ID: 7123456789, IsBot: true, FirstName: "Sohbet", Username: "sohbet_test_bot"}
	}
	if o.Chat.ID == 0 {
		o.Chat = Chat{ID: GroupID, Type: "supergroup", Title: "Mağaza", IsForum: true}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL: "http://" + l.Addr().String(), report: r, opts: o,
		done: make(chan struct{}), closing: make(chan struct{}), changed: make(chan struct{}),
		chats: map[int64]*chat{o.Chat.ID: newChat(o.Chat)}, users: map[int64]User{o.Bot.ID: o.Bot, OperatorID: Operator()},
		files: map[string]*file{}, commands: map[string]json.RawMessage{}, presses: map[string]bool{},
		upgraded: map[int64]int64{}, floods: map[int64]flood{}, carriers: map[int]update{}, nextID: 700000001, kinds: defaultKinds(),
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.Errorf("telegramtest: %v", err)
		}
	}()
	return s, nil
}

// Close answers what is waiting, and stops.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		s.Unhook()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			_ = s.http.Close() // whoever still hangs on is cut off
		}
		<-s.done
		s.hooks.Wait()
	})
}

// Set changes the world.
func (s *Server) Set(change func(*Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.place()
	change(&s.opts)
	s.chat(s.opts.Chat.ID).Chat = s.opts.Chat
	if after := s.place(); !same(before, after) {
		s.enqueue("my_chat_member", map[string]any{
			"chat": s.opts.Chat, "from": Operator(), "date": time.Now().Unix(), "old_chat_member": before, "new_chat_member": after,
		})
	}
}

// Allow announces that calls will be refused with a description that holds text; such refusals are part of the test.
func (s *Server) Allow(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = append(s.allowed, text)
}

// Blame is what was reported so far: the calls that the real API would have refused.
func (s *Server) Blame() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.blame...)
}

// Wait returns once cond holds, and fails the test if it does not within the time. cond may call every method of Server.
func (s *Server) Wait(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("telegramtest: %s did not come true within %v; %d calls so far", what, within, len(s.Calls()))
		}
	}
}

// touch tells everyone who waits that something happened; the lock is held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// complain reports a call that the real API would refuse, once the lock is free; the lock is held.
func (s *Server) complain(method, text string) {
	for _, a := range s.allowed {
		if strings.Contains(text, a) {
			return
		}
	}
	line := fmt.Sprintf("Telegram would refuse %s: %s", method, text)
	s.blame = append(s.blame, line)
	s.report.Helper()
	s.report.Errorf("telegramtest: %s", line)
}

// refusal is an answer with "ok": false.
type refusal struct {
	code   int
	text   string
	retry  int   // parameters.retry_after
	moved  int64 // parameters.migrate_to_chat_id
	faulty bool  // scripted, so nobody's mistake
}

func bad(format string, args ...any) *refusal {
	return &refusal{code: http.StatusBadRequest, text: "Bad Request: " + fmt.Sprintf(format, args...)}
}

// ServeHTTP answers /bot<token>/<method> and /file/bot<token>/<path>.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	token, offset := s.opts.Token, s.opts.ClockOffset
	s.mu.Unlock()
	if offset != 0 {
		w.Header().Set("Date", time.Now().Add(offset).UTC().Format(http.TimeFormat))
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/file/bot"); ok {
		s.serveFile(w, r, rest, token)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/bot")
	given, method, slash := strings.Cut(rest, "/")
	c := &Call{At: time.Now(), Method: method, Params: map[string]string{}, Files: map[string]Upload{}}
	var no *refusal
	switch {
	case !ok || !slash || !strings.Contains(given, ":"):
		no = &refusal{code: http.StatusNotFound, text: "Not Found"}
	case given != token:
		no = &refusal{code: http.StatusUnauthorized, text: "Unauthorized"}
	default:
		no = c.read(r)
	}
	if no != nil {
		s.finish(w, c, nil, no)
		return
	}
	s.answer(w, r, c)
}

// answer performs the call, or the fault that is scripted for it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *Call) {
	fault := s.nextFault(c)
	if fault == nil {
		fault = &Fault{}
	} else {
		c.Fault = fault.String()
	}
	var result any
	var no *refusal
	if fault.Performed {
		result, no = s.perform(r.Context(), c)
	}
	switch there := s.pause(r.Context(), fault.Delay); {
	case !there && fault.Performed:
		s.mu.Lock()
		s.note(c) // it was done, though its client has gone
		s.mu.Unlock()
	case !there:
	case fault.stops():
		s.stumble(w, c, fault)
	default:
		if !fault.Performed {
			result, no = s.perform(r.Context(), c)
		}
		s.finish(w, c, result, no)
	}
}

// perform runs the method.
func (s *Server) perform(ctx context.Context, c *Call) (any, *refusal) {
	if strings.EqualFold(c.Method, "getUpdates") {
		return s.getUpdates(ctx, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	method, ok := methods[strings.ToLower(c.Method)]
	if !ok {
		return nil, &refusal{code: http.StatusNotFound, text: "Not Found"}
	}
	if no := s.flooded(c); no != nil {
		return nil, no
	}
	if no := s.barred(c); no != nil {
		return nil, no
	}
	result, no := method(s, c)
	c.Performed = no == nil
	if m, ok := result.(*Message); ok && m != nil {
		c.MessageID = m.ID
	}
	return result, no
}

// finish writes the answer's envelope and notes the call.
func (s *Server) finish(w http.ResponseWriter, c *Call, result any, no *refusal) {
	status, envelope := http.StatusOK, map[string]any{"ok": true, "result": result}
	if no != nil {
		status, envelope = no.code, map[string]any{"ok": false, "error_code": no.code, "description": no.text}
		if no.retry > 0 {
			envelope["parameters"] = map[string]int{"retry_after": no.retry}
		}
		if no.moved != 0 {
			envelope["parameters"] = map[string]int64{"migrate_to_chat_id": no.moved}
		}
		c.Description = no.text
	}
	c.Status = status
	s.mu.Lock()
	body, err := json.Marshal(envelope) // a message may be edited meanwhile
	if err != nil {
		s.complain(c.Method, "telegramtest cannot encode its answer: "+err.Error())
	}
	if no != nil && !no.faulty {
		s.complain(c.Method, no.text)
	}
	s.note(c)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away notices by itself
}

// note keeps the call; the lock is held.
func (s *Server) note(c *Call) {
	s.sequence++
	c.Seq = s.sequence
	s.calls = append(s.calls, *c)
	s.touch()
}

// Calls is everything that was asked, in the order in which it was answered.
func (s *Server) Calls(methods ...string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []Call
	for _, c := range s.calls {
		if len(methods) == 0 || contains(methods, c.Method) {
			calls = append(calls, c)
		}
	}
	return calls
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
