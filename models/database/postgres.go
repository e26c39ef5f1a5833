package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"sohbet/models/dberror"
)

// Connection pool limits. They leave room on a small plan (often 20 connections) for a second process during a deploy.
const (
	postgresConns     = 10
	postgresIdle      = 4
	postgresIdleTime  = 5 * time.Minute
	postgresConnTime  = time.Hour
	postgresDialLimit = 10 * time.Second
)

// withoutEffect are parameters of other drivers that pgx would send to PostgreSQL as settings, which the server rejects.
var withoutEffect = []string{"pgbouncer", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
	"gssencmode", "sslcompression", "load_balance_hosts", "fallback_application_name"}

// openPostgres also returns where the database is: its host and port, and its name.
func openPostgres(address string, pooled *atomic.Bool, log *slog.Logger, config func() *gorm.Config) (db *gorm.DB, place string, err error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		// The library's error repeats the URL, which may contain the password.
		return nil, "", errors.New("models: the postgres:// URL cannot be read")
	}
	place = net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
	for _, name := range withoutEffect {
		if _, given := c.RuntimeParams[name]; given {
			delete(c.RuntimeParams, name)
			if name != "pgbouncer" { // detected by poolable
				log.Warn("a parameter of DATABASE_URL has no effect", "parameter", name)
			}
		}
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = postgresDialLimit
	}
	c.RuntimeParams["timezone"] = "UTC"
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "sohbet"
	}
	pool := sql.OpenDB(newPoolable(c, pooled, log))
	pool.SetMaxOpenConns(postgresConns)
	pool.SetMaxIdleConns(postgresIdle)
	pool.SetConnMaxIdleTime(postgresIdleTime)
	pool.SetConnMaxLifetime(postgresConnTime)
	db, err = gorm.Open(postgres.New(postgres.Config{Conn: pool}), config())
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("models: open the database: %w", err), pool.Close())
	}
	return db, place, nil
}

// poolable opens connections to PostgreSQL, in the query mode that suits the server. On a direct connection statements are prepared in
// the session. A pooler such as PgBouncer assigns each transaction any free session, so through one no statement is prepared on the
// server, and only statement descriptions are cached here (pgx.QueryExecModeCacheDescribe).
type poolable struct {
	driver.Connector
	parameters []string // URL parameters that are sent to the server
	pooled     *atomic.Bool
	watcher    *connWatcher
}

func newPoolable(c *pgx.ConnConfig, pooled *atomic.Bool, log *slog.Logger) *poolable {
	p := &poolable{pooled: pooled, watcher: newConnWatcher(c, log)}
	c.DialFunc = p.watcher.dial
	for name := range c.RuntimeParams {
		p.parameters = append(p.parameters, name)
	}
	slices.SortFunc(p.parameters, func(a, b string) int { return len(b) - len(a) }) // longest first: a name may be part of another
	chosen := c.DefaultQueryExecMode != pgx.QueryExecModeCacheStatement
	p.Connector = stdlib.GetConnector(*c, stdlib.OptionBeforeConnect(func(_ context.Context, c *pgx.ConnConfig) error {
		if pooled.Load() && !chosen {
			c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
		return nil
	}))
	return p
}

// Connect implements [driver.Connector].
func (p *poolable) Connect(ctx context.Context) (driver.Conn, error) {
	for {
		known := p.pooled.Load()
		var watched *watchedConn
		conn, err := p.Connector.Connect(context.WithValue(ctx, watchedKey{}, &watched))
		if err != nil && watched != nil && watched.lost.Load() && ctx.Err() == nil {
			continue // the server can be reached
		}
		if err != nil {
			return nil, p.named(err)
		}
		session, pooled, err := sessionOf(ctx, conn.(*stdlib.Conn).Conn())
		switch {
		case err == nil && !pooled:
			watched.session.Store(session)
		case err == nil && known:
			p.watcher.forget(watched) // its session changes with each transaction
		case err == nil:
			p.pooled.Store(true)
			err = errProtocol
		}
		if err == nil {
			return conn, nil
		}
		_ = conn.Close()
		if !errors.Is(err, errProtocol) && !(watched.lost.Load() && ctx.Err() == nil) {
			return nil, err
		}
	}
}

// Close implements [io.Closer] for the pool.
func (p *poolable) Close() error {
	p.watcher.close()
	return nil
}

var errProtocol = errors.New("models: another protocol is needed")

// sessionOf prepares the session of a connection, and reports whether the connection goes through a pooler: a pooler hands out its own
// process ids for cancel requests, so they differ from pg_backend_pid(). It uses the simple query protocol, which every pooler supports.
func sessionOf(ctx context.Context, conn *pgx.Conn) (*session, bool, error) {
	s := new(session)
	err := conn.QueryRow(ctx, "SELECT pg_backend_pid(), coalesce((SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()), '')", pgx.QueryExecModeSimpleProtocol).Scan(&s.pid, &s.started)
	if err != nil || uint32(s.pid) != conn.PgConn().PID() {
		return s, true, err
	}
	_, err = conn.Exec(ctx, idleTransactionLimit, pgx.QueryExecModeSimpleProtocol)
	return s, false, err
}

// named finds the parameter that a connection error is about. It searches the message for known names, because the server's message may
// be in any language.
func (p *poolable) named(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "42704" && pg.Code != "08P01" && pg.Code != "22023" {
		return err
	}
	for _, name := range p.parameters {
		if strings.Contains(pg.Message, name) {
			return &dberror.Explained{Err: err, Sentence: fmt.Sprintf(
				"DATABASE_URL names the parameter %q, which PostgreSQL or the pooler in front of it does not know; remove it", name)}
		}
	}
	return err
}
