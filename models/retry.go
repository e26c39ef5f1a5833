package models

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

// transaction runs f in a transaction on the write pool. It retries after a serialization conflict or on a connection that was already
// dead in the pool, so f must be safe to run more than once. Under the context of a lease it requires that the lease is held.
func (s *Store) transaction(ctx context.Context, f func(tx *gorm.DB) error) error {
	return again(ctx, func() error {
		ctx, cancel := s.limit(ctx)
		defer cancel()
		return s.write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := s.fenced(ctx, tx); err != nil {
				return err
			}
			return f(tx)
		})
	})
}

// again runs f up to batchRetries times, as long as its error is transient.
func again(ctx context.Context, f func() error) error {
	err := f()
	for try := 1; try < batchRetries && err != nil && ctx.Err() == nil && passing(err); try++ {
		err = f()
	}
	return err
}

// passing reports whether an error is transient, so that the same statement may succeed at once: a serialization conflict, or a
// connection that the server closed while it was idle in the pool.
func passing(err error) bool {
	if errors.Is(err, driver.ErrBadConn) {
		return true
	}
	var dial *pgconn.ConnectError
	if errors.As(err, &dial) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "40001", "40P01", "57P01", "57P02":
			return true
		}
		return false
	}
	if _, ok := sqliteCode(err); ok {
		return false
	}
	return brokenConnection(err)
}

// brokenConnection reports whether the connection failed in the middle of a statement.
func brokenConnection(err error) bool {
	var file *fs.PathError
	if errors.As(err, &file) { // errors of the operating system implement net.Error too
		return false
	}
	var network net.Error
	if errors.As(err, &network) {
		return !network.Timeout()
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
