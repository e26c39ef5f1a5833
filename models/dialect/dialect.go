// Package dialect has the statements of the hot path, which differ between SQLite and PostgreSQL: storing a batch of messages and the
// state of their threads.
package dialect

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// Statements are the statements of one database. conn is the open transaction.
type Statements interface {
	// Lock reads and locks thread rows in the order of their ids.
	Lock(ctx context.Context, conn gorm.ConnPool, ids []string, scan func(*sql.Rows) error) error
	// InsertMessages stores messages in order and returns the stored ones in that order; messages missing from the result repeat a
	// client id.
	InsertMessages(ctx context.Context, conn gorm.ConnPool, messages []Message) ([]Stored, error)
	UpdateThreads(ctx context.Context, conn gorm.ConnPool, rows []Thread) error
	// InsertOutbox adds rows to the outbox in order.
	InsertOutbox(ctx context.Context, conn gorm.ConnPool, rows []OutboxRow) error
	// UpdateActivity moves last_activity and last_seen forward.
	UpdateActivity(ctx context.Context, conn gorm.ConnPool, rows []Activity) error
	Close()
}

// New prepares the statements. columns are the columns of threads that Lock reads.
func New(db *database.DB, columns string) (Statements, error) {
	if db.Dialect == database.Postgres {
		return &postgres{lock: postgresLock(columns)}, nil
	}
	pool, err := db.Write.DB()
	if err != nil {
		return nil, err
	}
	return newSQLite(pool, columns)
}

// Message is a message to insert.
type Message struct {
	ThreadID, ClientID, Text, ContentType, FilePath, FileURL, SenderType string

	AgentID   int64 // 0 is stored as null
	CreatedAt time.Time
}

// Stored is an inserted message.
type Stored struct {
	ID                 int64
	ThreadID, ClientID string
}

// Thread has the columns of a thread that messages and marks change.
type Thread struct {
	ID, Status, LastMessage, LastSender, LastType string

	LastActivity  time.Time
	LastMessageAt *time.Time

	LastMessageID, MessageCount, UnreadCount, VisitorReadID, AgentReadID, Rev int64

	// SessionChanged means that the columns below have to be written too; most messages leave them as they are.
	SessionChanged bool

	WaitingSince *time.Time

	VisitorReceivedID, AgentReceivedID, Sessions, AnsweredSession int64

	AssigneeID int64 // 0 = none
}

// OutboxRow is a row to add to the outbox.
type OutboxRow struct {
	Channel, ThreadID, Kind string
	MessageID               int64
	CreatedAt               time.Time
}

// Activity is when a visitor was last active.
type Activity struct {
	ThreadID string
	UserID   int64
	At       time.Time
}

// each calls scan for each row.
func each(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanStored appends the rows returned by an insert to into.
func scanStored(into []Stored, rows *sql.Rows, err error) ([]Stored, error) {
	err = each(rows, err, func(rows *sql.Rows) error {
		var m Stored
		err := rows.Scan(&m.ID, &m.ThreadID, &m.ClientID)
		into = append(into, m)
		return err
	})
	return into, err
}

// byID sorts returned rows by id, which is the order in which they were inserted; the order of RETURNING is unspecified.
func byID(stored []Stored) []Stored {
	slices.SortFunc(stored, func(a, b Stored) int { return cmp.Compare(a.ID, b.ID) })
	return stored
}
