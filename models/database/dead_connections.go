package database

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// A connection whose peer was lost without a reset, for example because a firewall forgot it, blocks the statement that uses it until
// that statement's deadline. PostgreSQL meanwhile keeps the locks of its transaction.
const (
	suspectAfter = 1500 * time.Millisecond // how long a read or write blocks before the server is asked about the connection
	suspectEvery = 500 * time.Millisecond
	suspectLimit = 3 * time.Second // of asking
	// idleTransactionLimit ends transactions of processes that vanished, which nobody else can end.
	idleTransactionLimit = "SET idle_in_transaction_session_timeout = '60s'"
)

// watchedConn is a network connection that records since when it blocks.
type watchedConn struct {
	net.Conn
	watcher *connWatcher
	session atomic.Pointer[session] // nil while connecting

	lost          atomic.Bool
	read, written atomic.Int64 // start of the blocked call in Unix nanoseconds; 0 = none
	answered      atomic.Int64 // end of the last read, likewise
	next          time.Time    // when the server is asked again; used by the watcher alone
}

// session identifies a session of the server, which may give its process id to another one later.
type session struct {
	pid     int64
	started string
}

func (c *watchedConn) Read(p []byte) (int, error) {
	c.read.Store(time.Now().UnixNano())
	n, err := c.Conn.Read(p)
	c.answered.Store(time.Now().UnixNano())
	c.read.Store(0)
	return n, err
}

func (c *watchedConn) Write(p []byte) (int, error) {
	c.written.Store(time.Now().UnixNano())
	n, err := c.Conn.Write(p)
	c.written.Store(0)
	return n, err
}

// Close implements [net.Conn].
func (c *watchedConn) Close() error {
	c.watcher.forget(c)
	return c.Conn.Close()
}

// blocked returns since when the connection blocks, or 0.
func (c *watchedConn) blocked() int64 {
	if w := c.written.Load(); w != 0 {
		return w
	}
	return c.read.Load()
}

// connWatcher closes connections that the server does not serve any more, and ends their sessions.
type connWatcher struct {
	config *pgx.ConnConfig // of the connections that ask, which are not watched
	log    *slog.Logger
	stop   chan struct{}
	once   sync.Once

	mu    sync.Mutex
	conns map[*watchedConn]struct{}
}

func newConnWatcher(c *pgx.ConnConfig, log *slog.Logger) *connWatcher {
	c = c.Copy()
	c.ConnectTimeout = suspectLimit
	c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return &connWatcher{config: c, log: log, stop: make(chan struct{}), conns: make(map[*watchedConn]struct{})}
}

type watchedKey struct{}

// dial opens a network connection, watches it until it is closed, and sets the context's **watchedConn to it.
func (w *connWatcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := w.config.DialFunc(ctx, network, address)
	into, _ := ctx.Value(watchedKey{}).(**watchedConn)
	if err != nil || into == nil { // a request to cancel a statement
		return conn, err
	}
	c := &watchedConn{Conn: conn, watcher: w}
	*into = c
	w.mu.Lock()
	w.conns[c] = struct{}{}
	w.mu.Unlock()
	w.once.Do(func() { go w.run() })
	return c, nil
}

func (w *connWatcher) forget(c *watchedConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

func (w *connWatcher) close() { close(w.stop) }

func (w *connWatcher) run() {
	tick := time.NewTicker(suspectEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case now := <-tick.C:
			if suspects := w.suspects(now); len(suspects) > 0 {
				w.examine(suspects)
			}
		}
	}
}

func (w *connWatcher) suspects(now time.Time) []*watchedConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*watchedConn
	for c := range w.conns {
		since := c.blocked()
		if since != 0 && now.UnixNano()-since > int64(suspectAfter) && !now.Before(c.next) {
			list = append(list, c)
		}
	}
	return list
}

// examine closes those of the connections that the server has lost. The server waits for the client on them, or has ended their sessions.
func (w *connWatcher) examine(suspects []*watchedConn) {
	ctx, cancel := context.WithTimeout(context.Background(), suspectLimit)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, w.config)
	if err != nil {
		return // the server cannot be reached, and the statements wait until their deadlines
	}
	defer func() { _ = conn.Close(ctx) }()
	var oldest int64
	lost := 0
	for _, c := range suspects {
		since := c.blocked()
		served, err := w.serves(ctx, conn, c.session.Load())
		if err != nil {
			return
		}
		if served || since == 0 || c.blocked() != since {
			c.next = time.Now().Add(max(suspectAfter, time.Duration(time.Now().UnixNano()-since)))
			continue
		}
		c.lost.Store(true)
		_ = c.Conn.Close()
		lost++
		if oldest == 0 || since < oldest {
			oldest = since
		}
	}
	if lost > 0 {
		w.log.Warn("lost connections to the database were replaced", "connections", lost+w.closeIdle(oldest))
	}
}

// serves reports whether the server works on a statement of the session, or just did. Otherwise it ends the session.
func (w *connWatcher) serves(ctx context.Context, conn *pgx.Conn, s *session) (bool, error) {
	if s == nil { // it was dialed earlier than conn, which is connected already
		return false, nil
	}
	const is = "FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2"
	var served bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 "+is+
		" AND (wait_event_type IS DISTINCT FROM 'Client' OR state_change > clock_timestamp() - interval '1 second'))", s.pid, s.started).Scan(&served)
	if err == nil && !served {
		_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) "+is, s.pid, s.started)
	}
	return served, err
}

// closeIdle closes the idle connections that were not used successfully after the given time, because what lost one connection has
// probably lost them too. The pool opens new ones.
func (w *connWatcher) closeIdle(since int64) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if c.session.Load() != nil && c.blocked() == 0 && c.answered.Load() < since {
			_ = c.Conn.Close()
			n++
		}
	}
	return n
}
