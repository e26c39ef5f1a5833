package models

import (
	"context"
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"github.com/fernet/fernet-go"
	"gorm.io/gorm"
)

// Internals for the tests outside the package.

// Raw returns the write pool.
func Raw(t testing.TB, s *Store) *sql.DB {
	t.Helper()
	pool, err := s.write.DB()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// ReadPool returns the read pool.
func ReadPool(t testing.TB, s *Store) *sql.DB {
	t.Helper()
	pool, err := s.read.DB()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// AppendBatch writes messages as one batch.
func AppendBatch(s *Store, messages []NewMessage) ([]Appended, []error) {
	jobs := make([]*job, len(messages))
	for i := range messages {
		jobs[i] = &job{kind: appendJob, msg: messages[i]}
		if err := jobs[i].msg.prepare(s.texts); err != nil {
			panic(err)
		}
	}
	res, errs := make([]Appended, len(jobs)), make([]error, len(jobs))
	for i, out := range s.writer.settle(jobs) {
		res[i], errs[i] = out.Appended, out.err
	}
	return res, errs
}

// FlushTouches writes the pending last-activity times.
func FlushTouches(s *Store) { s.touches.flush() }

// Statement is a query as sent to the database.
type Statement struct {
	SQL  string
	Args []any
}

// ThreadsStatement returns the query of Threads.
func ThreadsStatement(s *Store, q ThreadQuery) Statement {
	db := s.threadsQuery(context.Background(), q)
	db.DryRun = true
	st := db.Find(&[]Thread{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// MessagesStatement returns the query of Messages.
func MessagesStatement(s *Store, threadID string, q MessageQuery) Statement {
	db := s.messagesQuery(context.Background(), threadID, q).Limit(51)
	db.DryRun = true
	st := db.Find(&[]Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// PersonStatement returns the query with which Person finds threads.
func PersonStatement(s *Store, t Thread) Statement {
	st := s.sameQuery(context.Background(), t).Session(&gorm.Session{DryRun: true}).Find(&[]Thread{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// ExpiredStatement returns the query with which Expire finds messages.
func ExpiredStatement(s *Store, before time.Time) Statement {
	st := s.expiredQuery(context.Background(), before).Session(&gorm.Session{DryRun: true}).Find(&[]Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// EmptyStatement returns the query with which RemoveEmpty finds threads.
func EmptyStatement(s *Store, before, written time.Time) Statement {
	st := s.emptyQuery(context.Background(), before, written).Session(&gorm.Session{DryRun: true}).Pluck("id", &[]string{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// FirstStatement returns the query that looks up a repeated client id.
func FirstStatement(s *Store, threadID, clientID string) Statement {
	db := firstQuery(s.read.Session(&gorm.Session{DryRun: true}), threadID, clientID)
	st := db.Take(&Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// OutboxStatement returns the query that reads a thread's pending rows.
func OutboxStatement(s *Store, threadID string) Statement {
	st := s.outboxRowsQuery(context.Background(), ChannelTelegram, OutboxKey{ThreadID: threadID}, 50).Session(&gorm.Session{DryRun: true}).Find(&[]OutboxRow{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// PostgresWrites returns the writer's statements that select threads by id.
func PostgresWrites(ids []string) map[string]Statement {
	rows := make([]*lockedThread, len(ids))
	for i, id := range ids {
		rows[i] = &lockedThread{Thread: Thread{ID: id}}
	}
	return map[string]Statement{
		"locking a batch":           {postgresLock, []any{ids}},
		"writing a batch's threads": {postgresUpdate, postgresUpdateArgs(rows)},
		"writing all of them":       {postgresTurned, postgresTurnedArgs(rows)},
	}
}

// SQLiteWrites returns the writer's statements on SQLite.
func SQLiteWrites() []string { return []string{sqliteLock, sqliteUpdate, sqliteTurned} }

// MigrateUnknown migrates like a program that does not know this schema.
func MigrateUnknown(s *Store) error {
	return migrate(context.Background(), s.write, s.dialect, []step{{id: "0000_other"}})
}

// Name folding, for tests.
var (
	CheckFold     = fold
	CheckFoldName = foldName
	CheckKey      = searchKey
)

// panicking is a dialectSQL whose insert panics.
type panicking struct{ dialectSQL }

func (p panicking) insert(ctx context.Context, conn gorm.ConnPool, messages []*NewMessage) ([]Message, error) {
	for _, m := range messages {
		if m.ContentText == "panic" {
			panic("a bug")
		}
	}
	return p.dialectSQL.insert(ctx, conn, messages)
}

// PanicOnText makes the writer panic when it inserts the text "panic". Call it before any write.
func PanicOnText(s *Store) { s.writer.sql = panicking{s.writer.sql} }

// OpenWith decrypts a stored text with one key.
func OpenWith(key *fernet.Key, token string) (string, bool) { return with([]*fernet.Key{key}, token) }

// TextKey returns the key derived from a secret.
func TextKey(t testing.TB, secret string) *fernet.Key {
	t.Helper()
	all, err := newTexts([]string{secret}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return all.keys[0]
}

// FlushCache empties the cache.
func FlushCache(s *Store) { s.cache.threads.Flush(); s.cache.pages.Flush() }

// DumpTables are the tables of a dump.
var DumpTables = dumpTables

// SetLeaseTimes sets the durations of leases acquired from now on.
func SetLeaseTimes(s *Store, expiry, held, renew time.Duration) {
	s.leaseTimes = leaseTimes{expiry: expiry, held: held, renew: renew}
}

// PauseLease stops the renewals of a lease, as when its process is paused.
func PauseLease(l *Lease) { l.halt() }
