package dialect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// insertSizes are the row counts of the prepared inserts, largest first; a batch is split into these.
var insertSizes = [...]int{64, 16, 4, 1}

// sqlite uses statements prepared once on the writer's connection.
type sqlite struct {
	selectThread, updateThread *sql.Stmt
	updateSession              *sql.Stmt
	activity, seen             *sql.Stmt
	inserts, enqueues          [len(insertSizes)]*sql.Stmt
}

const (
	sqliteUpdate        = "UPDATE threads SET " + sqliteColumns + " WHERE id = ?"
	sqliteUpdateSession = "UPDATE threads SET " + sqliteColumns + `, waiting_since = ?, visitor_received_id = ?, agent_received_id = ?,
		talks = ?, answered_talk = ?, status_by = CASE status WHEN ? THEN status_by END, assignee_id = nullif(?, 0) WHERE id = ?`
	sqliteColumns = `last_activity = ?, last_message_id = ?, last_message = ?, last_sender = ?,
		last_type = ?, last_message_at = ?, message_count = ?, unread_count = ?, visitor_read_id = ?, agent_read_id = ?, status = ?, rev = ?`
)

func newSQLite(pool *sql.DB, columns string) (*sqlite, error) {
	var err error
	b := &sqlite{}
	prepare := func(into **sql.Stmt, query string) {
		if err == nil {
			*into, err = pool.Prepare(query)
		}
	}
	prepare(&b.selectThread, sqliteLock(columns))
	prepare(&b.updateThread, sqliteUpdate)
	prepare(&b.updateSession, sqliteUpdateSession)
	prepare(&b.activity, "UPDATE threads SET last_activity = ? WHERE id = ? AND last_activity < ?")
	prepare(&b.seen, "UPDATE users SET last_seen = ? WHERE id = ? AND last_seen < ?")
	for i, n := range insertSizes {
		prepare(&b.inserts[i], sqliteInsert(n))
		prepare(&b.enqueues[i], sqliteEnqueue(n))
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("models: prepare the writer: %w", err)
	}
	return b, nil
}

func sqliteLock(columns string) string { return "SELECT " + columns + " FROM threads WHERE id = ?" }

func sqliteInsert(rows int) string {
	return `INSERT INTO messages (thread_id, client_id, content_text, content_type, file_path, file_url, sender_type, created_at, agent_id)
		VALUES ` + strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?,nullif(?,0)),", rows), ",") + `
		ON CONFLICT (thread_id, client_id) WHERE client_id <> '' DO NOTHING
		RETURNING id, thread_id, client_id`
}

func sqliteEnqueue(rows int) string {
	return "INSERT INTO outbox (channel, thread_id, message_id, kind, created_at) VALUES " +
		strings.TrimSuffix(strings.Repeat("(?,?,?,?,?),", rows), ",")
}

func (b *sqlite) Close() {
	for _, st := range append(slices.Concat(b.inserts[:], b.enqueues[:]), b.selectThread, b.updateThread, b.updateSession, b.activity, b.seen) {
		if st != nil {
			_ = st.Close()
		}
	}
}

func within(ctx context.Context, conn gorm.ConnPool, st *sql.Stmt) (*sql.Stmt, error) {
	tx, ok := conn.(*sql.Tx)
	if !ok {
		return nil, errors.New("models: the writer's connection is not a transaction")
	}
	return tx.StmtContext(ctx, st), nil
}

// Lock needs no row locks: the transaction began IMMEDIATE, so there is no other writer.
func (b *sqlite) Lock(ctx context.Context, conn gorm.ConnPool, ids []string, scan func(*sql.Rows) error) error {
	st, err := within(ctx, conn, b.selectThread)
	if err != nil {
		return err
	}
	for _, id := range ids {
		rows, err := st.QueryContext(ctx, id)
		if err := each(rows, err, scan); err != nil {
			return err
		}
	}
	return nil
}

func (b *sqlite) InsertMessages(ctx context.Context, conn gorm.ConnPool, messages []Message) ([]Stored, error) {
	stored := make([]Stored, 0, len(messages))
	args := make([]any, 0, 9*insertSizes[0])
	for i, size := range insertSizes {
		if len(messages) < size {
			continue
		}
		st, err := within(ctx, conn, b.inserts[i])
		if err != nil {
			return nil, err
		}
		for len(messages) >= size {
			args = args[:0]
			for i := range messages[:size] {
				m := &messages[i]
				args = append(args, m.ThreadID, m.ClientID, m.Text, m.ContentType, m.FilePath, m.FileURL, m.SenderType, m.CreatedAt, m.AgentID)
			}
			messages = messages[size:]
			rows, err := st.QueryContext(ctx, args...)
			if stored, err = scanStored(stored, rows, err); err != nil {
				return nil, err
			}
		}
	}
	return byID(stored), nil
}

func (b *sqlite) UpdateThreads(ctx context.Context, conn gorm.ConnPool, rows []Thread) error {
	st, err := within(ctx, conn, b.updateThread)
	if err != nil {
		return err
	}
	session, err := within(ctx, conn, b.updateSession)
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		args := []any{r.LastActivity, r.LastMessageID, r.LastMessage, r.LastSender, r.LastType,
			r.LastMessageAt, r.MessageCount, r.UnreadCount, r.VisitorReadID, r.AgentReadID, r.Status, r.Rev}
		update := st
		if r.SessionChanged {
			args = append(args, r.WaitingSince, r.VisitorReceivedID, r.AgentReceivedID, r.Sessions, r.AnsweredSession, r.Status, r.AssigneeID)
			update = session
		}
		if _, err := update.ExecContext(ctx, append(args, r.ID)...); err != nil {
			return err
		}
	}
	return nil
}

func (b *sqlite) InsertOutbox(ctx context.Context, conn gorm.ConnPool, rows []OutboxRow) error {
	args := make([]any, 0, 5*insertSizes[0])
	for i, size := range insertSizes {
		if len(rows) < size {
			continue
		}
		st, err := within(ctx, conn, b.enqueues[i])
		if err != nil {
			return err
		}
		for len(rows) >= size {
			args = args[:0]
			for _, r := range rows[:size] {
				args = append(args, r.Channel, r.ThreadID, r.MessageID, r.Kind, r.CreatedAt)
			}
			rows = rows[size:]
			if _, err := st.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *sqlite) UpdateActivity(ctx context.Context, conn gorm.ConnPool, rows []Activity) error {
	activity, err := within(ctx, conn, b.activity)
	if err != nil {
		return err
	}
	seen, err := within(ctx, conn, b.seen)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if _, err := activity.ExecContext(ctx, r.At, r.ThreadID, r.At); err != nil {
			return err
		}
		if _, err := seen.ExecContext(ctx, r.At, r.UserID, r.At); err != nil {
			return err
		}
	}
	return nil
}
