// Package telegramtest is a strict fake of Telegram's Bot API over real HTTP, for tests. It responds as the documented API does
// (https://core.telegram.org/bots/api, with the error texts of the real server) and reports every call that the real API would refuse,
// unless the test announced that refusal with Allow. Tests read back what was sent to it in order, and act as the operator (writing,
// editing, pressing buttons, closing topics) through methods of Server.
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

// Token is the bot token that a Server accepts if Options has none. It has the form of a real token.
const Token = "7123456789:AAF1sTf0rT3sts0nly-abcdefghijklmnopq"

// Reporter receives the calls that the real API would refuse; a testing.TB is a Reporter.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Options describes the simulated bot and chat. Set changes it while the server runs.
type Options struct {
	Token string // Token if empty
	Bot   User   // a default bot if zero
	Chat  Chat   // the operators' chat; a forum supergroup if zero

	// The bot's role in Chat. If all are false, it is an ordinary member in privacy mode.
	Admin        bool // administrator
	ManageTopics bool // … with the right to manage topics
	NoDelete     bool // … without the right to delete messages, which an administrator with ManageTopics has otherwise
	Absent       bool // not a member of the chat: "chat not found"
	Kicked       bool // removed from the chat: 403

	WriteInClosed bool // the bot may write into closed topics, as the real API allows administrators with ManageTopics; else TOPIC_CLOSED
	HTTPWebhook   bool // webhooks may be plain http on any port, as on a self-hosted server
	// Barred is the error text of every call that writes into Chat, such as "CHAT_RESTRICTED"; reading still works. Restricted does the
	// same with the Bot API server's error text, and getChatMember then returns the status "restricted".
	Barred     string
	Restricted bool

	PerMinute   int           // messages per minute that Chat accepts before 429; 0 = no limit (Telegram's own is 20 in a group)
	Minute      time.Duration // length of the minute that PerMinute counts; 0 = a minute
	ClockOffset time.Duration // offset of the Date header and of message dates from the real time
}

// Forum returns options for a forum supergroup in which the bot is an administrator that manages topics.
func Forum() Options { return Options{Admin: true, ManageTopics: true} }

// Private returns options for a private chat of the operator with the bot.
func Private() Options {
	return Options{Chat: Chat{ID: OperatorID, Type: "private", FirstName: "Ayşe"}}
}

// Server is one fake Bot API. It is safe for concurrent use.
type Server struct {
	URL string // value for TELEGRAM_API_URL: http://127.0.0.1:port, without a trailing slash

	report  Reporter
	http    *http.Server
	done    chan struct{} // closed when Serve has returned
	closing chan struct{}
	once    sync.Once

	mu       sync.Mutex
	opts     Options
	changed  chan struct{} // closed and replaced on every change
	calls    []Call
	blame    []string // reported calls
	allowed  []string
	chats    map[int64]*chat
	users    map[int64]User
	files    map[string]*file
	commands map[string]json.RawMessage
	presses  map[string]bool // whether each callback query is answered, by its id

	faults   []*Fault
	random   *rand.Rand
	rates    Rates
	down     bool
	upgraded map[int64]int64 // new id of each group that became a supergroup
	floods   map[int64]flood
	minutes  []time.Time

	updates  []update
	nextID   int
	carriers map[int]update // the update of each message in the operators' chat, by message id
	kinds    map[string]bool
	poller   chan struct{} // closed when another poller takes over
	webhook  *webhook
	hooks    sync.WaitGroup
	sequence int
}

// New starts a server on a loopback port. It reports to the test and is closed when the test ends.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(t, "127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server that listens on addr. The caller must close it.
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

// Close completes the waiting calls and stops the server.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		s.Unhook()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			_ = s.http.Close() // cut the remaining connections
		}
		<-s.done
		s.hooks.Wait()
	})
}

// Set changes the options.
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

// Allow declares that calls will be refused with a description that contains text; such refusals are not reported.
func (s *Server) Allow(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = append(s.allowed, text)
}

// Violations returns what was reported so far: the calls that the real API would have refused.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.blame...)
}

// Wait returns once cond is true, and fails the test if that takes longer than within. cond may call every method of Server.
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
			t.Fatalf("telegramtest: %s did not happen within %v; %d calls so far", what, within, len(s.Calls()))
		}
	}
}

// touch wakes every waiting goroutine after a change. s.mu must be held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// complain reports a call that the real API would refuse. s.mu must be held.
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

// refusal is a response with "ok": false.
type refusal struct {
	code   int
	text   string
	retry  int   // parameters.retry_after
	moved  int64 // parameters.migrate_to_chat_id
	faulty bool  // scripted, so not reported as the client's mistake
}

func bad(format string, args ...any) *refusal {
	return &refusal{code: http.StatusBadRequest, text: "Bad Request: " + fmt.Sprintf(format, args...)}
}

// ServeHTTP serves /bot<token>/<method> and /file/bot<token>/<path>.
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

// answer performs the call, or responds with the fault that is scripted for it.
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
		s.note(c) // the method ran, although the client has disconnected
		s.mu.Unlock()
	case !there:
	case fault.stops():
		s.applyFault(w, c, fault)
	default:
		if !fault.Performed {
			result, no = s.perform(r.Context(), c)
		}
		s.finish(w, c, result, no)
	}
}

// perform runs the method of a call.
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

// finish writes the response and records the call.
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
	body, err := json.Marshal(envelope) // encode under the lock: another call may edit the message
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
	_, _ = w.Write(body) // a failed write means that the client has disconnected
}

// note records the call. s.mu must be held.
func (s *Server) note(c *Call) {
	s.sequence++
	c.Seq = s.sequence
	s.calls = append(s.calls, *c)
	s.touch()
}

// Calls returns the calls of the given methods, or all calls, in the order in which they were answered.
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
