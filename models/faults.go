package models

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

type fault uint8

const (
	faultRow      fault = iota // a row was refused; others may succeed
	faultPassing               // serialization conflict; the same batch may succeed at once
	faultLost                  // the connection broke before the commit; another connection may work
	faultDatabase              // the database is unavailable, full or broken
)

// faultOf classifies the error of a failed batch.
func faultOf(err error) fault {
	var dial *pgconn.ConnectError
	if errors.Is(err, errUnclear) || errors.As(err, &dial) || errors.Is(err, context.DeadlineExceeded) {
		return faultDatabase
	}
	if errors.Is(err, errPanic) {
		return faultRow
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "40001", pg.Code == "40P01": // serialization failure, deadlock
			return faultPassing
		case pg.Code == "23505": // unique violation: another process opened the same thread
			return faultPassing
		case pg.Code == "57P01", pg.Code == "57P02": // admin or crash shutdown: the server closes this connection
			return faultLost
		}
		switch pg.Code[:min(2, len(pg.Code))] {
		case "08", "25", "28", "53", "55", "57", "58", "XX", "F0": // connection, read-only, login, resources, locks, shutdown, I/O
			return faultDatabase
		}
		return faultRow
	}
	if code, ok := sqliteCode(err); ok {
		switch code {
		case 18, 19, 20: // too big, constraint, mismatch
			return faultRow
		}
		return faultDatabase
	}
	return faultLost
}
