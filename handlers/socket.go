package handlers

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"sohbet/models"
	"sohbet/server/agents"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/engine"
	"sohbet/server/logging"
	"sohbet/server/metrics"
	"sohbet/server/publish"
	"sohbet/server/push"
	"sohbet/server/realtime"
)

// eventTimeout bounds the handling of one socket event, so that a database that hangs does not block the client's reader forever.
const eventTimeout = 15 * time.Second

// maxOver is how many consecutive events may exceed the rate limit before the connection is closed: answering them costs as much as
// handling some allowed ones.
const maxOver = 500

// readsPerProcessor limits concurrent history reads per CPU, each of up to about 3 MB. More would only delay everything else.
const readsPerProcessor = 2

// bytesPerEvent is how much history text counts as one additional event for the rate limit: reading and encoding it costs as much.
const bytesPerEvent = 16 << 10

// slowEvent is the duration from which an event is logged as slow.
const slowEvent = time.Second

// Sockets connects the Socket.IO events of docs/protocol.md, "Client events", to the chat service.
type Sockets struct {
	Chat     *chat.Service
	Sessions *auth.Sessions
	Agent    func(id int64) (models.Agent, bool) // an agent as it is now, see [models.Store.Agent]
	Pages    auth.Origins                        // the origins that sockets may come from
	Events   auth.Tiers                          // rate limit for the events of one socket
	Consoles *push.Service                       // tracks visible consoles
	Presence *agents.Presence
	Idle     time.Duration // AGENT_IDLE
	Audit    *audit.Log
	Numbers  *metrics.Metrics
	Now      func() time.Time
	Log      *slog.Logger

	reads *semaphore.Weighted // limits history reads, whose pages need the most memory of all requests by visitors

	mu       sync.Mutex
	signedIn map[*peer]struct{} // agents' sockets
}

// Attach registers the event handlers with rt. Call it before rt serves.
func (h *Sockets) Attach(rt *realtime.Server) {
	h.signedIn = make(map[*peer]struct{})
	h.reads = semaphore.NewWeighted(int64(max(4, readsPerProcessor*runtime.NumCPU())))
	h.Sessions.Connected(h.sessions)
	rt.OnConnect(h.connect)
}

// peer is one connected socket: a visitor, an agent, or an agent who tries the visitors' page.
type peer struct {
	h       *Sockets
	socket  *realtime.Socket
	threads *chat.ThreadSet
	address string

	*socketClient

	events uint32      // events handled so far
	over   int         // consecutive events over the rate limit
	expiry *time.Timer // fires when an agent's session expires; nil for visitors

	mu        sync.Mutex
	present   []string // threads that it joined as the visitor
	watching  []string // threads that it watches as an agent
	console   agents.Console
	isConsole bool // it joined the agents' room
	gone      bool
}

// socketClient is the information about a client from the request that opened the connection.
type socketClient struct {
	session           auth.Session
	signedIn          bool
	browser, platform string
}

// Identify returns the socketClient of a connection, for [realtime.Options].
func (h *Sockets) Identify(r *http.Request) any {
	c := &socketClient{}
	if !h.Pages.Foreign(r) {
		c.session, c.signedIn = h.Sessions.FromRequest(r)
	}
	c.browser, c.platform = client(r.UserAgent())
	return c
}

// Allow reports whether a client may join or leave a namespace, for [realtime.Options]: both count as events for the rate limit.
func (h *Sockets) Allow(c *engine.Conn) bool {
	ok, _ := h.Events.Allow(c.ID(), auth.AddressKey(c.RemoteAddress()))
	return ok
}

func (h *Sockets) connect(s *realtime.Socket) {
	p := &peer{h: h, socket: s, threads: chat.NewThreadSet(), address: auth.AddressKey(s.RemoteAddress()), socketClient: s.Client().(*socketClient)}
	s.SetSide(publish.VisitorSide)
	if p.signedIn {
		s.SetSide(publish.AgentSide)
		p.expiry = time.AfterFunc(p.session.ExpiresAt.Sub(h.Now()), p.sessionEnded)
		h.mu.Lock()
		h.signedIn[p] = struct{}{}
		h.mu.Unlock()
	}
	s.OnEvent(p.handle)
	s.OnClose(func(string) { p.leave() })
}

// handle decodes and executes an event and acknowledges it. The events of one socket are handled one at a time.
func (p *peer) handle(e realtime.Event) {
	known, ok := clientEvents[e.Name]
	if !ok { // not an error: newer clients may send events that this server does not have
		e.Name = "unknown"
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(logging.WithRequest(context.Background(), p.request()), eventTimeout)
	defer cancel()
	err := p.do(ctx, known, e)
	if err != nil && !errors.Is(err, errLater) {
		p.refuse(ctx, e, err)
	}
	if chat.Public(err).Code != apperr.CodeRateLimit {
		p.over = 0
	} else if p.over++; p.over == maxOver {
		p.socket.Close(engine.ClosedFlood)
	}
	p.counted(ctx, e.Name, start, err)
}

// errLater is returned by a handler whose outcome is not known yet. Its callback later acknowledges or refuses the event and records it in
// the metrics with counted.
var errLater = errors.New("the answer comes later")

func (p *peer) do(ctx context.Context, known clientEvent, e realtime.Event) error {
	if ok, wait := p.h.Events.Allow(p.socket.ConnectionID(), p.address); !ok {
		return apperr.Limited(wait)
	}
	if known.handle == nil {
		return nil
	}
	return known.handle(p, ctx, e)
}

// request returns an id of the current event for the log: the socket's id and the event's number.
func (p *peer) request() string {
	p.events++
	id := p.socket.ID()
	return id[:min(len(id), 8)] + "-" + strconv.FormatUint(uint64(p.events), 10)
}

// counted records an event in the metrics once its outcome is known, for a message after its commit, and logs slow ones.
func (p *peer) counted(ctx context.Context, event string, start time.Time, err error) {
	if errors.Is(err, errLater) {
		return
	}
	outcome, took := metrics.OK, time.Since(start)
	if err != nil {
		outcome = chat.Public(err).Code
	}
	if p.h.Numbers.Event(event, outcome, took); outcome == apperr.CodeRateLimit {
		p.h.Numbers.Limited("event")
	}
	if took >= slowEvent {
		p.h.Log.With(logging.Stream, logging.Performance).WarnContext(ctx, "slow event", "event", event, "ms", took.Milliseconds())
	}
}

// asAgent returns the actor for events of agents; without a valid session that is a visitor.
func (p *peer) asAgent() chat.Actor {
	if !p.signedIn || !p.h.Sessions.Valid(p.session) {
		return p.asVisitor()
	}
	who, _ := p.h.Agent(p.session.Agent)
	actor := agentActor(who)
	actor.SocketID, actor.Address, actor.Browser, actor.Platform = p.socket.ID(), p.address, p.browser, p.platform
	return actor
}

func (p *peer) asVisitor() chat.Actor {
	return chat.Actor{Role: chat.Visitor, SocketID: p.socket.ID(), Address: p.address, Threads: p.threads, Browser: p.browser, Platform: p.platform}
}

// enter adds the socket to a thread's room as its visitor and records the visitor's presence.
func (p *peer) enter(threadID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.socket.SetSide(publish.VisitorSide) // an agent who tries the visitors' page is a visitor there
	p.socket.Join(publish.ThreadRoom(threadID))
	if p.gone || slices.Contains(p.present, threadID) {
		return
	}
	p.present = append(p.present, threadID)
	p.h.Chat.Arrived(p.asVisitor(), threadID)
}

// SessionsEnded disconnects the agents' sockets whose session is no longer valid.
func (h *Sockets) SessionsEnded() {
	h.mu.Lock()
	var ended []*peer
	for p := range h.signedIn {
		if !h.Sessions.Valid(p.session) {
			ended = append(ended, p)
		}
	}
	h.mu.Unlock()
	for _, p := range ended {
		p.sessionEnded()
	}
}

// sessions returns the sessions of connected agents.
func (h *Sockets) sessions() []auth.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]auth.Session, 0, len(h.signedIn))
	for p := range h.signedIn {
		list = append(list, p.session)
	}
	return list
}

func (h *Sockets) forget(p *peer) {
	h.Consoles.InView(p.socket.ID(), false)
	p.mu.Lock()
	p.isConsole = false
	p.mu.Unlock()
	h.Presence.Remove(p.socket.ID())
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.signedIn, p)
}

// sessionEnd is docs/protocol.md, "Server event `error`".
type sessionEnd struct {
	Type      string    `json:"type"`
	Message   string    `json:"message"`
	Reason    string    `json:"reason,omitempty"`
	Timestamp chat.Time `json:"timestamp"`
}

// sessionEnded removes an agent's socket from the rooms of agents, sends an error and disconnects it. A socket that also joined a
// thread as the visitor stays connected as such.
func (p *peer) sessionEnded() {
	p.h.forget(p)
	p.mu.Lock()
	watching, visiting := p.watching, len(p.present) > 0
	p.watching = nil
	p.mu.Unlock()
	p.socket.Leave(publish.AgentsRoom)
	for _, id := range watching {
		p.socket.Leave(publish.ThreadRoom(id))
	}
	end := sessionEnd{Type: apperr.CodeUnauthorized, Message: "Your session has ended. Please sign in again.", Timestamp: chat.Time(p.h.Now())}
	if who, _ := p.h.Agent(p.session.Agent); !who.Enabled() {
		end.Message, end.Reason = "Your account was disabled.", "disabled"
	}
	p.emit("error", end)
	if !visiting {
		p.socket.Disconnect()
	}
}

func (p *peer) leave() {
	p.mu.Lock()
	p.gone = true
	present := p.present
	p.present = nil
	p.mu.Unlock()
	if p.expiry != nil {
		p.expiry.Stop()
		p.h.forget(p)
	}
	for _, id := range present {
		p.h.Chat.Departed(id)
	}
}

// succeeded is a positive acknowledgement; fields may be added.
type succeeded map[string]any

// answerEvent acknowledges an event, if its sender requested that.
func answerEvent(e realtime.Event, fields succeeded) {
	if e.Ack == nil {
		return
	}
	if fields == nil {
		fields = succeeded{}
	}
	fields["ok"] = true
	e.Ack(fields)
}

// failure is an error in wire format for sockets.
type failure struct {
	Type         string `json:"type,omitempty"`
	Code         string `json:"code"`
	Message      string `json:"message"`
	Field        string `json:"field,omitempty"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	Rev          int64  `json:"rev,omitempty"`
}

// refusals are the errors that are written to the audit log, with their outcome.
var refusals = map[string]string{
	apperr.CodeUnauthorized: audit.Refused, apperr.CodeRateLimit: audit.Limited, apperr.CodeBlocked: audit.Blocked,
}

// refuse reports the failure of an event: in its acknowledgement, or with message_error.
func (p *peer) refuse(ctx context.Context, e realtime.Event, err error) {
	public := chat.Public(err)
	if public.Code == apperr.CodeInternal && !errors.Is(err, context.Canceled) {
		p.h.Log.ErrorContext(ctx, "socket event failed", "event", e.Name, "error", err)
	} else {
		p.h.Log.DebugContext(ctx, "socket event refused", "event", e.Name, "code", public.Code, "field", public.Field)
	}
	if outcome := refusals[public.Code]; outcome != "" {
		p.h.Audit.Write(context.Background(), audit.Event{
			Name: audit.SocketEvent, Actor: p.session.Subject, AgentID: models.AgentID(p.session.Agent), Address: p.socket.RemoteAddress(), Outcome: outcome, Detail: e.Name,
		})
	}
	f := failure{Code: public.Code, Message: public.Message, Field: public.Field, Rev: public.Rev}
	if public.RetryAfter > 0 {
		f.RetryAfterMS = max(1, public.RetryAfter.Milliseconds())
	}
	if e.Ack != nil {
		e.Ack(struct {
			OK    bool    `json:"ok"`
			Error failure `json:"error"`
		}{Error: f})
		return
	}
	f.Type = f.Code
	p.emit("message_error", f)
}

func (p *peer) emit(name string, payload any) {
	if _, err := p.socket.Emit(name, payload); err != nil {
		p.h.Log.Error("failed to encode an event", "event", name, "error", err)
	}
}
