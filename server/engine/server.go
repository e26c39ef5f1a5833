package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server accepts Engine.IO connections. It is an [http.Handler]; mount it at the path that clients use.
type Server struct {
	opts     Options
	upgrades []string

	mu        sync.RWMutex
	conns     map[string]*Conn
	onConnect []func(*Conn)
	stopping  bool
	poller    *poller
	polling   sync.Once

	budget  budget
	writers writers

	opened, cut atomic.Uint64
}

// New returns a server. It needs no start; [Server.Close] stops it.
func New(o Options) *Server {
	s := &Server{opts: o.withDefaults(), conns: make(map[string]*Conn)}
	if !o.DisableWebsocket {
		s.upgrades = []string{"websocket"}
	}
	s.budget.byKey = make(map[string]*account)
	s.writers.most = runtime.GOMAXPROCS(0)
	return s
}

// OnConnect registers a function that is called for each new connection before its first packet is handled. Call it before serving.
func (s *Server) OnConnect(fn func(*Conn)) { s.onConnect = append(s.onConnect, fn) }

// Stats are totals since the start and the current number of connections.
type Stats struct {
	Open   int
	Opened uint64
	Cut    uint64 // closed because the client was too slow or held too much memory
	Queued int    // bytes queued for writing
	Held   int64  // bytes counted against Options.TotalBytes
}

// Stats returns the current statistics.
func (s *Server) Stats() Stats {
	s.mu.RLock()
	conns := slices.Collect(maps.Values(s.conns))
	s.mu.RUnlock()
	stats := Stats{Open: len(conns), Opened: s.opened.Load(), Cut: s.cut.Load(), Held: s.budget.total.Load()}
	for _, c := range conns { // not under s.mu: a connection that ends takes s.mu while it holds its own lock
		c.mu.Lock()
		stats.Queued += c.queued
		c.mu.Unlock()
	}
	return stats
}

// Close refuses new connections and closes all others with a reason; it returns when they have ended or ctx ends.
func (s *Server) Close(ctx context.Context, why Closing) error {
	s.mu.Lock()
	s.stopping = true
	conns := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	if err := s.handOver(ctx, conns, why); err != nil {
		return err
	}
	for _, c := range conns {
		if err := c.flushed(ctx); err != nil {
			return err
		}
	}
	if p := s.poll(); p != nil {
		p.stop()
	}
	return nil
}

const (
	handOverEach = 2 * time.Millisecond // maximum of HandOver per connection, so that a few connections do not take all of it
	handOverStep = 20 * time.Millisecond
)

// handOver closes connections in random order (map iteration) over a period. Those not closed yet are served as usual.
func (s *Server) handOver(ctx context.Context, conns []*Conn, why Closing) error {
	span := min(s.opts.HandOver, time.Duration(len(conns))*handOverEach)
	steps := max(1, int(span/handOverStep))
	tick := time.NewTicker(handOverStep)
	defer tick.Stop()
	for i := range steps {
		for _, c := range conns[i*len(conns)/steps : (i+1)*len(conns)/steps] {
			c.CloseWith(why)
		}
		if i == steps-1 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done(): // shutdown deadline exceeded: close the rest at once
			for _, c := range conns[(i+1)*len(conns)/steps:] {
				c.CloseWith(why)
			}
			return ctx.Err()
		}
	}
	return nil
}

// poll returns the poller, which is started by the first websocket; nil on platforms without one.
func (s *Server) poll() *poller {
	s.polling.Do(func() {
		p, err := newPoller()
		if err != nil {
			s.opts.Logger.Debug("no epoll; using one goroutine per websocket", "because", err)
			return
		}
		s.poller = p
	})
	return s.poller
}

// flushed waits until a closing connection has sent its queue, so that the process may exit.
func (c *Conn) flushed(ctx context.Context) error {
	for {
		c.mu.Lock()
		pending := c.writing || c.poll != nil
		c.mu.Unlock()
		if !pending {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ServeHTTP serves Engine.IO requests.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.cors(w, r)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	query := r.URL.Query()
	transport, sid := query.Get("transport"), query.Get("sid")
	wantsWebsocket := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	switch {
	case transport == "websocket" && !s.opts.DisableWebsocket:
	case transport == "polling" && !s.opts.DisablePolling && !wantsWebsocket:
	default:
		refuse(w, errTransport)
		return
	}
	if s.opts.CheckOrigin != nil && !s.opts.CheckOrigin(r) {
		refuse(w, errForbidden)
		return
	}
	if sid == "" {
		s.handshake(w, r, query.Get("EIO"), transport, wantsWebsocket)
		return
	}
	c := s.lookup(sid)
	switch {
	case c == nil:
		refuse(w, errUnknownSID)
	case transport == "websocket" && !wantsWebsocket:
		refuse(w, errBadRequest)
	case transport == "websocket":
		s.upgrade(w, r, c)
	case r.Method == http.MethodGet:
		c.servePoll(w, r)
	case r.Method == http.MethodPost:
		c.serveData(w, r)
	default:
		refuse(w, errBadRequest)
	}
}

func (s *Server) handshake(w http.ResponseWriter, r *http.Request, revision, transport string, wantsWebsocket bool) {
	switch {
	case r.Method != http.MethodGet:
		refuse(w, errMethod)
		return
	case transport == "websocket" && !wantsWebsocket:
		refuse(w, errBadRequest)
		return
	case revision != "4":
		refuse(w, errVersion)
		return
	}
	leave := func() {}
	if s.opts.Admit != nil {
		var wait time.Duration
		if leave, wait = s.opts.Admit(r); leave == nil {
			w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
			refuse(w, errCrowded)
			return
		}
	}
	if transport == "polling" {
		c := s.newConn(r, nil)
		c.left = leave
		if !s.admit(c) {
			refuse(w, errStopping)
			return
		}
		if answer(w, "text/plain; charset=UTF-8", append([]byte{packetOpen}, s.openData(c, s.upgrades)...)) != nil {
			c.abort(ClosedTransport)
		}
		return
	}
	socket, response, first, err := s.accept(w, r)
	if err != nil {
		leave()
		return // the handshake has written a response
	}
	c := s.newConn(r, socket)
	c.left = leave
	socket.conn = c
	c.mu.Lock()
	c.add(appendPacket(response, packetOpen, string(s.openData(c, nil))))
	c.mu.Unlock()
	if !s.admit(c) {
		socket.close()
		return
	}
	c.uncork(socket)
	c.serve(socket, first)
}

// upgrade accepts the websocket of a polling session.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, c *Conn) {
	socket, response, first, err := s.accept(w, r)
	if err != nil {
		return
	}
	socket.conn, socket.upgrading = c, true
	if err := socket.writeNow(response); err != nil {
		socket.close()
		return
	}
	if !c.beginUpgrade(socket) {
		socket.sendClose(closedTransition)
		socket.close()
		return
	}
	c.serve(socket, first)
}

func (s *Server) newConn(r *http.Request, socket *wsConn) *Conn {
	c := &Conn{srv: s, id: newID(), remote: s.opts.RemoteAddr(r), opened: time.Now(), ws: socket, done: make(chan struct{}), left: func() {}}
	c.account = s.budget.open(s.opts.AddressKey(c.remote))
	c.packets.tokens.Store(int32(s.opts.PacketBurst))
	c.req.Store(r)
	c.mu.Lock() // the timer's function may run before it is assigned
	c.heart = time.AfterFunc(s.opts.PingInterval, c.sendPing)
	c.mu.Unlock()
	return c
}

// admit calls the OnConnect functions and registers a connection, before anything is sent or read. It reports false, and ends the connection,
// if the server is closing.
func (s *Server) admit(c *Conn) bool {
	for _, fn := range s.onConnect {
		fn(c)
	}
	s.mu.Lock()
	stopping := s.stopping
	if !stopping {
		s.conns[c.id] = c
	}
	s.mu.Unlock()
	if stopping {
		c.abort(ClosedRestart)
		return false
	}
	s.opened.Add(1)
	return true
}

func (s *Server) lookup(sid string) *Conn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.conns[sid]
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
}

// closed updates statistics and log when a connection ends.
func (s *Server) closed(c *Conn, why Closing) {
	if why == ClosedSlow || why == ClosedMemory {
		s.cut.Add(1)
	}
	s.budget.close(c.account)
	c.left()
	s.opts.Logger.Debug("connection closed", "reason", why.Reason, "address", c.remote)
}

func (s *Server) openData(c *Conn, upgrades []string) []byte {
	if upgrades == nil {
		upgrades = []string{}
	}
	data, err := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{c.id, upgrades, s.opts.PingInterval.Milliseconds(), s.opts.PingTimeout.Milliseconds(), s.opts.MaxPayload})
	if err != nil {
		panic(err) // cannot happen for strings and integers
	}
	return data
}

// newID returns 120 random bits, encoded as text.
func newID() string {
	var b [15]byte
	rand.Read(b[:]) // cannot fail: crypto/rand crashes the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// cors sets the CORS headers for a request from another origin.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || s.opts.AllowOrigin == nil {
		return
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !s.opts.AllowOrigin(r) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		// Forwarded headers are set only by proxies: a page of another site must not be able to send them.
		if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" && !strings.Contains(strings.ToLower(wanted), "forwarded") {
			h.Set("Access-Control-Allow-Headers", wanted)
		}
		h.Set("Access-Control-Max-Age", "600")
	}
}
