// Package dberror says what an error of SQLite or PostgreSQL means: whether to retry, whether the row or the database is at fault, and
// what to tell the administrator.
package dberror

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Meaning says what an error of the database means.
type Meaning struct {
	Fault Fault
	// Retry: the same statement may succeed at once. Wait: it may succeed once the database has started.
	Retry, Wait bool
	// Sentence is for the administrator; "" if the database itself works. Reason is its code, by which assets/locales has the cure.
	Sentence, Reason string
}

// Fault is what a failed transaction has to be attributed to.
type Fault uint8

// Faults.
const (
	Row       Fault = iota // a row was refused; others may succeed
	Transient              // serialization conflict; the same transaction may succeed at once
	Lost                   // the connection broke before the commit; another connection may work
	Database               // the database is unavailable, full or broken
)

// ErrUnclear marks a failed COMMIT: the rows may or may not be stored, so it is not retried.
var ErrUnclear = errors.New("the commit failed")

// Explained is an error with a sentence for the administrator that the driver's error does not give.
type Explained struct {
	Sentence, Reason string
	Err              error
}

func (e *Explained) Error() string { return e.Sentence + " (" + e.Err.Error() + ")" }
func (e *Explained) Unwrap() error { return e.Err }

// ErrDamaged means that a check found damage in an SQLite file.
var ErrDamaged error = &Explained{Sentence: SQLiteDamaged, Reason: "database_damaged", Err: errors.New("quick_check failed")}

// ErrIDs means that the sequence of a table has left the range of ids.
var ErrIDs error = &Explained{Sentence: "the database has no ids left below 2^53", Reason: "database_ids", Err: errors.New("id out of range")}

// OfSQLite explains an error like SQLite's error of that result code.
func OfSQLite(code int, err error) error {
	return &Explained{Sentence: sqliteErrors[code].Sentence, Reason: sqliteErrors[code].Reason, Err: err}
}

// SQLiteDamaged is the sentence about a damaged database file.
const SQLiteDamaged = "the database file is damaged: restore a backup with sohbet restore"

// sqliteErrors are the primary result codes of SQLite; other codes are Database.
var sqliteErrors = map[int]Meaning{
	3:  {Fault: Database, Reason: "database_denied", Sentence: "this program has no permission to access the database file"},                                    // PERM
	5:  {Fault: Database, Reason: "database_locked", Sentence: "the database file is locked by another program"},                                                // BUSY
	6:  {Fault: Database, Reason: "database_locked", Sentence: "the database file is locked by another program"},                                                // LOCKED
	8:  {Fault: Database, Reason: "database_readonly", Sentence: "the database file cannot be written: it, its folder or its disk is read-only"},                // READONLY
	10: {Fault: Database, Reason: "database_io", Sentence: "the disk of the database reports an error"},                                                         // IOERR
	11: {Fault: Database, Reason: "database_damaged", Sentence: SQLiteDamaged},                                                                                  // CORRUPT
	13: {Fault: Database, Reason: "database_full", Sentence: "the disk of the database is full"},                                                                // FULL
	14: {Fault: Database, Reason: "database_denied", Sentence: "the database file cannot be opened: check that its folder exists and its permissions"},          // CANTOPEN
	18: {Fault: Row},                                                                                                                                            // TOOBIG
	19: {Fault: Row},                                                                                                                                            // CONSTRAINT
	20: {Fault: Row},                                                                                                                                            // MISMATCH
	23: {Fault: Database, Reason: "database_denied", Sentence: "this program has no permission to access the database file"},                                    // AUTH
	26: {Fault: Database, Reason: "database_damaged", Sentence: "the database file is damaged or not an SQLite database: restore a backup with sohbet restore"}, // NOTADB
}

// postgresErrors are codes of PostgreSQL, or classes of them, which are their first two characters; others are Row
// (PostgreSQL manual, appendix A).
var postgresErrors = map[string]Meaning{
	"08":    {Fault: Database},  // connection
	"23505": {Fault: Transient}, // unique violation: another process opened the same thread
	"25":    {Fault: Database},  // transaction state
	"25006": {Fault: Database, Reason: "postgres_readonly", Sentence: "PostgreSQL is read-only"},
	"28":    {Fault: Database}, // login
	"28000": {Fault: Database, Reason: "postgres_login", Sentence: "PostgreSQL refuses the user of DATABASE_URL"},
	"28P01": {Fault: Database, Reason: "postgres_login", Sentence: "PostgreSQL refuses the user or password of DATABASE_URL"},
	"3D000": {Fault: Row, Reason: "postgres_missing", Sentence: "the database that DATABASE_URL names does not exist"},
	"40001": {Fault: Transient, Retry: true}, // serialization failure
	"40P01": {Fault: Transient, Retry: true}, // deadlock
	"42501": {Fault: Row, Reason: "postgres_login", Sentence: "the user of DATABASE_URL may not do this"},
	"53":    {Fault: Database}, // resources
	"53100": {Fault: Database, Reason: "postgres_full", Sentence: "the disk of PostgreSQL is full"},
	"53200": {Fault: Database, Reason: "postgres_busy", Sentence: "PostgreSQL is out of memory"},
	"53300": {Fault: Database, Wait: true, Reason: "postgres_busy", Sentence: "PostgreSQL has too many connections"},
	"55":    {Fault: Database},                                                                                           // locks
	"57":    {Fault: Database},                                                                                           // operator intervention
	"57P01": {Fault: Lost, Retry: true, Wait: true, Reason: "postgres_stopped", Sentence: "PostgreSQL is shutting down"}, // it closes this connection
	"57P02": {Fault: Lost, Retry: true, Wait: true, Reason: "postgres_stopped", Sentence: "PostgreSQL is restarting after a crash"},
	"57P03": {Fault: Database, Wait: true, Reason: "postgres_stopped", Sentence: "PostgreSQL is starting or stopping"},
	"58":    {Fault: Database}, // system error
	"F0":    {Fault: Database}, // configuration file
	"XX":    {Fault: Database}, // internal error
	"XX001": {Fault: Database, Reason: "postgres_damaged", Sentence: "PostgreSQL reports damaged data"},
	"XX002": {Fault: Database, Reason: "postgres_damaged", Sentence: "PostgreSQL reports a damaged index"},
}

// Classify says what an error of a statement, a transaction or a connection means.
func Classify(err error) Meaning {
	if err == nil {
		return Meaning{}
	}
	code, isSQLite := SQLiteCode(err)
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	connecting := errors.As(err, &connect)
	timeout := errors.Is(err, context.DeadlineExceeded)
	var e Meaning
	switch {
	case isSQLite:
		e = sqliteError(code)
	case errors.As(err, &pg):
		e = postgresError(pg)
	case connecting:
		e = Meaning{Wait: true, Reason: "postgres_unreachable", Sentence: "PostgreSQL cannot be reached"}
	case brokenConnection(err):
		e = Meaning{Fault: Lost, Retry: true, Wait: true, Reason: "postgres_unreachable", Sentence: "the connection to PostgreSQL broke"}
	case timeout:
		e = Meaning{Wait: true, Reason: "database_slow", Sentence: "the database does not answer in time"}
	default:
		e.Fault = Lost
	}
	if errors.Is(err, ErrUnclear) || errors.Is(err, ErrIDs) || connecting || timeout {
		e.Fault = Database
	}
	e.Retry = e.Retry && !connecting || errors.Is(err, driver.ErrBadConn) // a connection that the server closed while it was idle
	var explained *Explained
	if errors.As(err, &explained) {
		e.Sentence, e.Reason = explained.Sentence, cmp.Or(explained.Reason, e.Reason)
	}
	return e
}

func sqliteError(code int) Meaning {
	if e, ok := sqliteErrors[code]; ok {
		return e
	}
	return Meaning{Fault: Database}
}

func postgresError(pg *pgconn.PgError) Meaning {
	e, ok := postgresErrors[pg.Code]
	if !ok {
		e = postgresErrors[pg.Code[:min(2, len(pg.Code))]]
	}
	if strings.Contains(pg.Message, "statement pooling mode") { // PgBouncer has no error code for it
		e.Sentence = "PgBouncer runs with pool_mode = statement, which allows no transactions: set it to transaction or session"
	}
	return e
}

// Damaged reports whether stored data is corrupt, which does not go away by itself.
func Damaged(err error) bool {
	if errors.Is(err, ErrDamaged) {
		return true
	}
	if code, ok := SQLiteCode(err); ok {
		return code == 11 || code == 26
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "XX001" || pg.Code == "XX002")
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
