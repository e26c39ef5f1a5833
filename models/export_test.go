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

// What tests outside the package need of its inside.

// Raw is the writing pool.
func Raw(t testing.TB, s *Store) *sql.DB {
	t.Helper()
	pool, err := s.write.DB()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// ReadPool is the reading pool.
func ReadPool(t testing.TB, s *Store) *sql.DB {
	t.Helper()
	pool, err := s.read.DB()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// AppendBatch puts messages through the writer as one batch.
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

// FlushTouches writes the gathered touches now.
func FlushTouches(s *Store) { s.touches.flush() }

// Statement is a query as it is sent.
type Statement struct {
	SQL  string
	Args []any
}

// ThreadsStatement is what Threads asks.
func ThreadsStatement(s *Store, q ThreadQuery) Statement {
	db := s.threadsQuery(context.Background(), q)
	db.DryRun = true
	st := db.Find(&[]Thread{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// MessagesStatement is what Messages asks.
func MessagesStatement(s *Store, threadID string, q MessageQuery) Statement {
	db := s.messagesQuery(context.Background(), threadID, q).Limit(51)
	db.DryRun = true
	st := db.Find(&[]Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// PersonStatement is how Person finds threads.
func PersonStatement(s *Store, t Thread) Statement {
	st := s.sameQuery(context.Background(), t).Session(&gorm.Session{DryRun: true}).Find(&[]Thread{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// ExpiredStatement is how Expire finds messages.
func ExpiredStatement(s *Store, before time.Time) Statement {
	st := s.expiredQuery(context.Background(), before).Session(&gorm.Session{DryRun: true}).Find(&[]Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// EmptyStatement is how RemoveEmpty finds threads.
func EmptyStatement(s *Store, before, written time.Time) Statement {
	st := s.emptyQuery(context.Background(), before, written).Session(&gorm.Session{DryRun: true}).Pluck("id", &[]string{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// FirstStatement is how a repeated client id is looked up.
func FirstStatement(s *Store, threadID, clientID string) Statement {
	db := firstQuery(s.read.Session(&gorm.Session{DryRun: true}), threadID, clientID)
	st := db.Take(&Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// OutboxStatement is how the sender reads what waits of a thread.
func OutboxStatement(s *Store, threadID string) Statement {
	st := s.outboxRowsQuery(context.Background(), ChannelTelegram, OutboxKey{ThreadID: threadID}, 50).Session(&gorm.Session{DryRun: true}).Find(&[]OutboxRow{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// PostgresWrites are the writer's statements that name threads by id.
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

// SQLiteWrites are the writer's statements on SQLite.
func SQLiteWrites() []string { return []string{sqliteLock, sqliteUpdate, sqliteTurned} }

// MigrateUnknown migrates as a program would that does not know this schema.
func MigrateUnknown(s *Store) error {
	return migrate(context.Background(), s.write, s.dialect, []step{{id: "0000_other"}})
}

// How names are compared.
var (
	CheckFold     = fold
	CheckFoldName = foldName
	CheckKey      = searchKey
)

// panicking is a database driver with a bug.
type panicking struct{ dialectSQL }

func (p panicking) insert(ctx context.Context, conn gorm.ConnPool, messages []*NewMessage) ([]Message, error) {
	for _, m := range messages {
		if m.ContentText == "panic" {
			panic("a bug")
		}
	}
	return p.dialectSQL.insert(ctx, conn, messages)
}

// PanicOnText makes the writer panic whenever it inserts the text "panic". Call it before any write.
func PanicOnText(s *Store) { s.writer.sql = panicking{s.writer.sql} }

// OpenWith opens a stored text with one key.
func OpenWith(key *fernet.Key, token string) (string, bool) { return with([]*fernet.Key{key}, token) }

// TextKey is the key derived from a secret.
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

// SetLeaseTimes changes the times of leases that are taken from now on.
func SetLeaseTimes(s *Store, expiry, held, renew time.Duration) {
	s.leaseTimes = leaseTimes{expiry: expiry, held: held, renew: renew}
}

// PauseLease ends the renewals of a lease, as a stopped process does.
func PauseLease(l *Lease) { l.halt() }
