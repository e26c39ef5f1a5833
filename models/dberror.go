package models

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrUnavailable matches errors that mean that the database is unreachable, locked, full, read-only or damaged. The request itself is
// valid and may succeed later.
var ErrUnavailable = errors.New("models: the database does not work")

// dbError says what an error of the database means.
type dbError struct {
	fault fault
	// retry: the same statement may succeed at once. wait: it may succeed once the database has started.
	retry, wait bool
	// sentence is for the administrator; "" if the database itself works.
	sentence string
}

type fault uint8

const (
	faultRow      fault = iota // a row was refused; others may succeed
	faultPassing               // serialization conflict; the same batch may succeed at once
	faultLost                  // the connection broke before the commit; another connection may work
	faultDatabase              // the database is unavailable, full or broken
)

const sqliteDamaged = "the database file is damaged: restore a backup with sohbet restore"

// sqliteErrors are the primary result codes of SQLite; other codes are faultDatabase.
var sqliteErrors = map[int]dbError{
	3:  {fault: faultDatabase, sentence: "this program has no permission to access the database file"},                                   // PERM
	5:  {fault: faultDatabase, sentence: "the database file is locked by another program"},                                               // BUSY
	6:  {fault: faultDatabase, sentence: "the database file is locked by another program"},                                               // LOCKED
	8:  {fault: faultDatabase, sentence: "the database file cannot be written: it, its folder or its disk is read-only"},                 // READONLY
	10: {fault: faultDatabase, sentence: "the disk of the database reports an error"},                                                    // IOERR
	11: {fault: faultDatabase, sentence: sqliteDamaged},                                                                                  // CORRUPT
	13: {fault: faultDatabase, sentence: "the disk of the database is full"},                                                             // FULL
	14: {fault: faultDatabase, sentence: "the database file cannot be opened: check that its folder exists and its permissions"},         // CANTOPEN
	18: {fault: faultRow},                                                                                                                // TOOBIG
	19: {fault: faultRow},                                                                                                                // CONSTRAINT
	20: {fault: faultRow},                                                                                                                // MISMATCH
	23: {fault: faultDatabase, sentence: "this program has no permission to access the database file"},                                   // AUTH
	26: {fault: faultDatabase, sentence: "the database file is damaged or not an SQLite database: restore a backup with sohbet restore"}, // NOTADB
}

// postgresErrors are codes of PostgreSQL, or classes of them, which are their first two characters; others are faultRow
// (PostgreSQL manual, appendix A).
var postgresErrors = map[string]dbError{
	"08":    {fault: faultDatabase}, // connection
	"23505": {fault: faultPassing},  // unique violation: another process opened the same thread
	"25":    {fault: faultDatabase}, // transaction state
	"25006": {fault: faultDatabase, sentence: "PostgreSQL is read-only"},
	"28":    {fault: faultDatabase}, // login
	"28000": {fault: faultDatabase, sentence: "PostgreSQL refuses the user of DATABASE_URL"},
	"28P01": {fault: faultDatabase, sentence: "PostgreSQL refuses the user or password of DATABASE_URL"},
	"3D000": {fault: faultRow, sentence: "the database that DATABASE_URL names does not exist"},
	"40001": {fault: faultPassing, retry: true}, // serialization failure
	"40P01": {fault: faultPassing, retry: true}, // deadlock
	"42501": {fault: faultRow, sentence: "the user of DATABASE_URL may not do this"},
	"53":    {fault: faultDatabase}, // resources
	"53100": {fault: faultDatabase, sentence: "the disk of PostgreSQL is full"},
	"53200": {fault: faultDatabase, sentence: "PostgreSQL is out of memory"},
	"53300": {fault: faultDatabase, wait: true, sentence: "PostgreSQL has too many connections"},
	"55":    {fault: faultDatabase},                                                               // locks
	"57":    {fault: faultDatabase},                                                               // operator intervention
	"57P01": {fault: faultLost, retry: true, wait: true, sentence: "PostgreSQL is shutting down"}, // it closes this connection
	"57P02": {fault: faultLost, retry: true, wait: true, sentence: "PostgreSQL is restarting after a crash"},
	"57P03": {fault: faultDatabase, wait: true, sentence: "PostgreSQL is starting or stopping"},
	"58":    {fault: faultDatabase}, // system error
	"F0":    {fault: faultDatabase}, // configuration file
	"XX":    {fault: faultDatabase}, // internal error
	"XX001": {fault: faultDatabase, sentence: "PostgreSQL reports damaged data"},
	"XX002": {fault: faultDatabase, sentence: "PostgreSQL reports a damaged index"},
}

// classify says what an error of a statement, a transaction or a connection means.
func classify(err error) dbError {
	if err == nil {
		return dbError{}
	}
	code, isSQLite := sqliteCode(err)
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	connecting := errors.As(err, &connect)
	timeout := errors.Is(err, context.DeadlineExceeded)
	var e dbError
	switch {
	case isSQLite:
		e = sqliteError(code)
	case errors.As(err, &pg):
		e = postgresError(pg)
	case connecting:
		e = dbError{wait: true, sentence: "PostgreSQL cannot be reached"}
	case brokenConnection(err):
		e = dbError{fault: faultLost, retry: true, wait: true, sentence: "the connection to PostgreSQL broke"}
	case timeout:
		e = dbError{wait: true, sentence: "the database does not answer in time"}
	default:
		e.fault = faultLost
	}
	switch {
	case errors.Is(err, errUnclear), connecting, timeout:
		e.fault = faultDatabase
	case errors.Is(err, errPanic):
		e.fault = faultRow
	}
	e.retry = e.retry && !connecting || errors.Is(err, driver.ErrBadConn) // a connection that the server closed while it was idle
	var access *accessError
	var parameter *parameterError
	switch {
	case errors.As(err, &access):
		e.sentence = access.sentence
	case errors.As(err, &parameter):
		e.sentence = fmt.Sprintf("DATABASE_URL names the parameter %q, which PostgreSQL or the pooler in front of it does not know; remove it", parameter.name)
	}
	return e
}

func sqliteError(code int) dbError {
	if e, ok := sqliteErrors[code]; ok {
		return e
	}
	return dbError{fault: faultDatabase}
}

func postgresError(pg *pgconn.PgError) dbError {
	e, ok := postgresErrors[pg.Code]
	if !ok {
		e = postgresErrors[pg.Code[:min(2, len(pg.Code))]]
	}
	if strings.Contains(pg.Message, "statement pooling mode") { // PgBouncer has no error code for it
		e.sentence = "PgBouncer runs with pool_mode = statement, which allows no transactions: set it to transaction or session"
	}
	return e
}

// damaged reports whether the database file is corrupt, which does not go away by itself.
func damaged(err error) bool {
	code, ok := sqliteCode(err)
	return ok && (code == 11 || code == 26)
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
