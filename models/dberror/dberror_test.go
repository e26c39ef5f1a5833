package dberror

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestClassify(t *testing.T) {
	pg := func(code string) error { return fmt.Errorf("commit: %w", &pgconn.PgError{Code: code}) }
	for _, c := range []struct {
		name        string
		err         error
		fault       Fault
		retry, wait bool
		sentence    bool
	}{
		{"deadlock", pg("40P01"), Transient, true, false, false},
		{"thread opened by another process", pg("23505"), Transient, false, false, false},
		{"foreign key", pg("23503"), Row, false, false, false},
		{"syntax", pg("42601"), Row, false, false, false},
		{"shutdown", pg("57P01"), Lost, true, true, true},
		{"start", pg("57P03"), Database, false, true, true},
		{"cancelled by the operator", pg("57014"), Database, false, false, false},
		{"too many connections", pg("53300"), Database, false, true, true},
		{"disk full", pg("53100"), Database, false, false, true},
		{"wrong password", pg("28P01"), Database, false, false, true},
		{"no code", pg(""), Row, false, false, false},
		{"statement pooling", &pgconn.PgError{Code: "08P01", Message: "transaction blocks not allowed in statement pooling mode"}, Database, false, false, true},
		{"unreachable", &pgconn.ConnectError{}, Database, false, true, true},
		{"closed while idle", driver.ErrBadConn, Lost, true, false, false},
		{"broken", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), Lost, true, true, true},
		{"reset", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, Lost, true, true, true},
		{"timeout", fmt.Errorf("query: %w", context.DeadlineExceeded), Database, false, true, true},
		{"unknown whether it was committed", fmt.Errorf("%w: %w", ErrUnclear, io.EOF), Database, true, true, true},
		{"explained", fmt.Errorf("open: %w", &Explained{Sentence: "the file belongs to another user", Err: io.EOF}), Lost, true, true, true},
		{"other", errors.New("x"), Lost, false, false, false},
	} {
		got := Classify(c.err)
		if got.Fault != c.fault || got.Retry != c.retry || got.Wait != c.wait || (got.Sentence != "") != c.sentence {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
