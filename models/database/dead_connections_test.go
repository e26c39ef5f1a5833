package database_test

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"sohbet/models/database"
	"sohbet/models/storetest"
)

// proxy forwards TCP connections. Connections that are lost stay open, and nothing passes any more.
type proxy struct {
	net.Listener
	mu    sync.Mutex
	lost  chan struct{} // closed when the connections of now are lost
	stall bool          // new connections are lost too
}

func startProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, lost: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close() })
	go p.serve(u.Host)
	u.Host = l.Addr().String()
	return p, u.String()
}

func (p *proxy) serve(to string) {
	for {
		from, err := p.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		lost, stall := p.lost, p.stall
		p.mu.Unlock()
		if stall {
			continue
		}
		on, err := net.Dial("tcp", to)
		if err != nil {
			_ = from.Close()
			continue
		}
		go forward(from, on, lost)
		go forward(on, from, lost)
	}
}

func forward(from, to net.Conn, lost chan struct{}) {
	buf := make([]byte, 8192)
	for {
		n, err := from.Read(buf)
		select {
		case <-lost:
			return // without closing either
		default:
		}
		if n > 0 {
			_, _ = to.Write(buf[:n])
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

func (p *proxy) lose(stall bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.lost)
	p.lost, p.stall = make(chan struct{}), stall
}

func pool(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := database.Open(address, slog.New(slog.NewTextHandler(io.Discard, nil)), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	pool, err := db.Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// TestLostConnections loses connections without an error, as a firewall does that forgets them: an idle one, two within transactions that
// hold locks, and one that is being opened. Statements that take long on another connection are not disturbed.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	address := storetest.Options(t, "postgres").URL
	proxy, through := startProxy(t, address)
	lossy, direct := pool(t, through), pool(t, address)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exec := func(on interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}, statement string,
	) {
		t.Helper()
		if _, err := on.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	var limit string
	if err := direct.QueryRowContext(ctx, "SHOW idle_in_transaction_session_timeout").Scan(&limit); err != nil || limit != "1min" {
		t.Errorf("transactions of a process that vanished end after %q, %v", limit, err)
	}
	exec(direct, "CREATE TABLE counters AS SELECT id, 0 AS n FROM generate_series(1, 2) id")
	begin := func(statement string) *sql.Tx {
		tx, err := lossy.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tx.Rollback() })
		exec(tx, statement)
		return tx
	}
	busy := begin("UPDATE counters SET n = 1 WHERE id = 1")
	begin("UPDATE counters SET n = 1 WHERE id = 2") // runs no further statement
	exec(lossy, "SELECT 1")                         // on another connection, idle afterwards

	long := make(chan error, 1)
	go func() {
		_, err := direct.ExecContext(ctx, "SELECT pg_sleep(6)")
		long <- err
	}()
	proxy.lose(true)
	began := time.Now()
	used := make(chan error, 1)
	go func() { used <- lossy.PingContext(ctx) }()
	failed := make(chan error, 1)
	go func() {
		_, err := busy.ExecContext(ctx, "UPDATE counters SET n = 2 WHERE id = 1")
		failed <- err
	}()
	time.Sleep(time.Second) // the ping's next connection stalls while it is opened, in some runs
	proxy.lose(false)

	exec(direct, "UPDATE counters SET n = 3") // waits for both lost transactions
	if err := <-failed; err == nil || ctx.Err() != nil {
		t.Errorf("a statement on a lost connection ended with %v", err)
	}
	if err := <-used; err != nil {
		t.Errorf("the pool did not open a new connection: %v", err)
	}
	t.Logf("recovered after %v", time.Since(began))
	if err := <-long; err != nil {
		t.Errorf("a long statement was disturbed: %v", err)
	}
}
