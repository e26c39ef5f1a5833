package database

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
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
	suspectAgain = 2 * time.Second // pause after the server was found to work on its statement
	suspectLimit = 3 * time.Second // of asking
	troubleLasts = time.Minute     // how long after a failure sessions are ended explicitly when their connections close
	maxOrphans   = 100
	// idleTransactionLimit ends transactions of processes that vanished, which hold locks.
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
	c.watcher.closed(c)
	if err := c.Conn.Close(); !errors.Is(err, net.ErrClosed) { // otherwise the watcher has closed it
		return err
	}
	return nil
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

	mu       sync.Mutex
	conns    map[*watchedConn]struct{}
	orphans  map[session]struct{} // may continue although their connections are closed
	troubled time.Time            // last failure
}

func newConnWatcher(c *pgx.ConnConfig, log *slog.Logger) *connWatcher {
	c = c.Copy()
	c.ConnectTimeout = suspectLimit
	c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return &connWatcher{config: c, log: log, stop: make(chan struct{}), conns: make(map[*watchedConn]struct{}), orphans: make(map[session]struct{})}
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

// closed forgets a connection. The server may not learn that it was closed while the network fails.
func (w *connWatcher) closed(c *watchedConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
	if !w.troubled.IsZero() && time.Since(w.troubled) < troubleLasts {
		w.orphan(c)
	}
}

func (w *connWatcher) orphan(c *watchedConn) {
	if s := c.session.Load(); s != nil && len(w.orphans) < maxOrphans {
		w.orphans[*s] = struct{}{}
	}
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
			if suspects, orphans := w.suspects(now); len(suspects)+len(orphans) > 0 {
				w.examine(suspects, orphans)
			}
		}
	}
}

func (w *connWatcher) suspects(now time.Time) (list []*watchedConn, orphans []session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		since := c.blocked()
		if since != 0 && now.UnixNano()-since > int64(suspectAfter) && !now.Before(c.next) {
			list = append(list, c)
		}
	}
	return list, slices.Collect(maps.Keys(w.orphans))
}

// examine closes those of the connections that the server has lost, and ends their sessions and those of closed connections.
func (w *connWatcher) examine(suspects []*watchedConn, orphans []session) {
	ctx, cancel := context.WithTimeout(context.Background(), suspectLimit)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, w.config)
	if err != nil { // the server cannot be reached, and the statements wait until their deadlines
		w.mu.Lock()
		w.troubled = time.Now()
		w.mu.Unlock()
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, s := range orphans {
		if end(ctx, conn, &s) != nil {
			return
		}
		w.mu.Lock()
		delete(w.orphans, s)
		w.mu.Unlock()
	}
	var oldest int64
	lost := 0
	for _, c := range suspects {
		since := c.blocked()
		if since == 0 || time.Now().UnixNano()-since < int64(suspectAfter) { // answered meanwhile
			continue
		}
		served, err := serves(ctx, conn, c.session.Load())
		if err != nil {
			return
		}
		if served || c.blocked() != since {
			c.next = time.Now().Add(suspectAgain)
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

const isSession = "FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2"

// serves reports whether the server works on a statement of the session, or just did. Otherwise it ends the session.
func serves(ctx context.Context, conn *pgx.Conn, s *session) (bool, error) {
	if s == nil { // it was dialed earlier than conn, which is connected already
		return false, nil
	}
	var served bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 "+isSession+
		" AND (wait_event_type IS DISTINCT FROM 'Client' OR state_change > clock_timestamp() - interval '1 second'))", s.pid, s.started).Scan(&served)
	if err == nil && !served {
		err = end(ctx, conn, s)
	}
	return served, err
}

func end(ctx context.Context, conn *pgx.Conn, s *session) error {
	_, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) "+isSession, s.pid, s.started)
	return err
}

// closeIdle closes the connections that run no statement and were not answered after the given time, because what lost one connection has
// probably lost them too. The pool opens new ones.
func (w *connWatcher) closeIdle(since int64) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubled = time.Now()
	for c := range w.conns {
		if c.session.Load() != nil && c.blocked() == 0 && c.answered.Load() < since {
			_ = c.Conn.Close()
			w.orphan(c) // it may be within a transaction
			n++
		}
	}
	return n
}
