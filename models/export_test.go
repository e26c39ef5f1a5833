package models

import (
	"context"
	"time"

	"gorm.io/gorm"

	"sohbet/models/dialect"
)

// Internals for the tests outside the package.

func init() { pollInterval = 200 * time.Millisecond }

// AppendBatch writes messages as one batch.
func AppendBatch(s *Store, messages []NewMessage) ([]Appended, []error) {
	jobs := make([]*job, len(messages))
	for i := range messages {
		jobs[i] = &job{kind: appendJob, msg: messages[i]}
		if err := jobs[i].msg.prepare(s.cipher); err != nil {
			panic(err)
		}
	}
	res, errs := make([]Appended, len(jobs)), make([]error, len(jobs))
	for i, out := range s.writer.Commit(jobs) {
		res[i], errs[i] = out.Appended, out.err
	}
	return res, errs
}

// FlushActivity writes the pending last-activity times.
func FlushActivity(s *Store) { s.activity.flush() }

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
	st := s.expiredQuery(context.Background(), before, expireBatch).Order("created_at").Session(&gorm.Session{DryRun: true}).Find(&[]Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// EmptyStatement returns the query with which RemoveEmpty finds threads.
func EmptyStatement(s *Store, before, written time.Time) Statement {
	st := s.emptyQuery(context.Background(), before, written).Session(&gorm.Session{DryRun: true}).Pluck("id", &[]string{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// FirstStatement returns the query that looks up a repeated client id.
func FirstStatement(s *Store, threadID, clientID string) Statement {
	db := firstQuery(s.db.Read.Session(&gorm.Session{DryRun: true}), threadID, clientID)
	st := db.Take(&Message{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// OutboxStatement returns the query that reads a thread's pending rows.
func OutboxStatement(s *Store, threadID string) Statement {
	st := s.outboxRowsQuery(context.Background(), ChannelTelegram, OutboxKey{ThreadID: threadID}, 50).Session(&gorm.Session{DryRun: true}).Find(&[]OutboxRow{}).Statement
	return Statement{st.SQL.String(), st.Vars}
}

// panicking panics when it inserts some messages.
type panicking struct{ dialect.Statements }

func (p panicking) InsertMessages(ctx context.Context, conn gorm.ConnPool, messages []dialect.Message) ([]dialect.Stored, error) {
	for _, m := range messages {
		if m.ClientID == "panic" {
			panic("a bug")
		}
	}
	return p.Statements.InsertMessages(ctx, conn, messages)
}

// PanicOnInsert makes the writer panic when it inserts a message with the client id "panic". Call it before any write.
func PanicOnInsert(s *Store) { s.writer.sql = panicking{s.writer.sql} }

// FlushCache empties the cache.
func FlushCache(s *Store) { s.cache.threads.Flush(); s.cache.pages.Flush() }

// SetLeaseTimes sets the durations of leases acquired from now on.
func SetLeaseTimes(s *Store, expiry, held, renew time.Duration) {
	s.leaseTimes = leaseTimes{expiry: expiry, held: held, renew: renew}
}

// PauseLease stops the renewals of a lease, as when its process is paused.
func PauseLease(l *Lease) { l.halt() }

// The rules of a thread's state.
var (
	WithReceived = Thread.withReceived
	WithRead     = Thread.withRead
	WithStatus   = Thread.withStatus
)

// WithMessage is [Thread.withMessage].
func WithMessage(t Thread, m Message) (next Thread, reopened bool, first *FirstAnswer) {
	next, effect := t.withMessage(&m)
	return next, effect.reopened, effect.firstAnswer
}

// RecoveryCodeRow is a row of recovery_codes.
var RecoveryCodeRow = recoveryCode{}

// SettingRow is a row of settings.
var SettingRow = setting{}

// AgentPictureRow is a row of agent_pictures.
var AgentPictureRow = agentPicture{}
