package models

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
		fault       fault
		retry, wait bool
		sentence    bool
	}{
		{"deadlock", pg("40P01"), faultPassing, true, false, false},
		{"thread opened by another process", pg("23505"), faultPassing, false, false, false},
		{"foreign key", pg("23503"), faultRow, false, false, false},
		{"syntax", pg("42601"), faultRow, false, false, false},
		{"shutdown", pg("57P01"), faultLost, true, true, true},
		{"start", pg("57P03"), faultDatabase, false, true, true},
		{"cancelled by the operator", pg("57014"), faultDatabase, false, false, false},
		{"too many connections", pg("53300"), faultDatabase, false, true, true},
		{"disk full", pg("53100"), faultDatabase, false, false, true},
		{"wrong password", pg("28P01"), faultDatabase, false, false, true},
		{"no code", pg(""), faultRow, false, false, false},
		{"statement pooling", &pgconn.PgError{Code: "08P01", Message: "transaction blocks not allowed in statement pooling mode"}, faultDatabase, false, false, true},
		{"unreachable", &pgconn.ConnectError{}, faultDatabase, false, true, true},
		{"closed while idle", driver.ErrBadConn, faultLost, true, false, false},
		{"broken", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), faultLost, true, true, true},
		{"reset", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, faultLost, true, true, true},
		{"timeout", fmt.Errorf("query: %w", context.DeadlineExceeded), faultDatabase, false, true, true},
		{"unknown whether it was committed", fmt.Errorf("%w: %w", errUnclear, io.EOF), faultDatabase, true, true, true},
		{"panic", errPanic, faultRow, false, false, false},
		{"other", errors.New("x"), faultLost, false, false, false},
	} {
		got := classify(c.err)
		if got.fault != c.fault || got.retry != c.retry || got.wait != c.wait || (got.sentence != "") != c.sentence {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
