package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
	"time"
)

const (
	leaseCheck   = 2 * time.Second // how often the holder looks whether its connection lives
	leaseTimeout = 5 * time.Second
)

// Lease is a role that one process has at a time.
type Lease struct {
	lost    chan struct{}
	stop    chan struct{}
	once    sync.Once
	watched sync.WaitGroup
}

// Lost is closed when the role is gone: the connection that held it broke. Somebody else may have it by then.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Release gives the role up.
func (l *Lease) Release() {
	l.once.Do(func() { close(l.stop) })
	l.watched.Wait()
}

// Lease asks for a role; nil means that another process has it. On PostgreSQL it is a session advisory lock on a
// connection kept for it, so it ends with the process, however that ends; it is one for each schema, as the tables
// are. An SQLite file has one process, which has every role.
func (s *Store) Lease(ctx context.Context, role string) (*Lease, error) {
	l := &Lease{lost: make(chan struct{}), stop: make(chan struct{})}
	if s.dialect == dialectSQLite {
		return l, nil
	}
	pool, err := s.write.DB()
	if err != nil {
		return nil, s.failed("ask for a role", err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, s.failed("ask for a role", err)
	}
	var ours bool
	err = conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(hashtextextended('sohbet ' || current_schema() || ' ' || $1, 0))", role).Scan(&ours)
	if err == nil && ours {
		// A machine that vanished closes no connection: the server is to notice within half a minute.
		_, err = conn.ExecContext(ctx, "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3")
	}
	if err != nil || !ours {
		if err != nil {
			discard(conn)
		}
		_ = conn.Close()
		return nil, s.failed("ask for a role", err)
	}
	l.watched.Go(func() { l.watch(conn) })
	return l, nil
}

// watch holds the connection until the lease is released or broken, and then ends it: one that holds a lock must not
// go back to the pool.
func (l *Lease) watch(conn *sql.Conn) {
	defer func() {
		discard(conn)
		_ = conn.Close()
	}()
	tick := time.NewTicker(leaseCheck)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
		err := conn.PingContext(ctx)
		cancel()
		if err != nil {
			close(l.lost)
			return
		}
	}
}

// discard makes the pool drop a connection when it is closed.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}
