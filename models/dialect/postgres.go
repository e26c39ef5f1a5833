package dialect

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"
)

// postgres passes whole columns as arrays: the statements are the same for any number of rows, so each is prepared once.
type postgres struct{ lock string }

func postgresLock(columns string) string {
	return "SELECT " + columns + " FROM threads WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE"
}

func (*postgres) Close() {}

func (p *postgres) Lock(ctx context.Context, conn gorm.ConnPool, ids []string, scan func(*sql.Rows) error) error {
	rows, err := conn.QueryContext(ctx, p.lock, ids)
	return each(rows, err, scan)
}

// nextval runs after the sort, so ids follow the order of the arrays.
const postgresInsert = `INSERT INTO messages
	(thread_id, client_id, content_text, content_type, file_path, file_url, sender_type, created_at, agent_id)
	SELECT thread_id, client_id, content_text, content_type, file_path, file_url, sender_type, created_at, nullif(agent_id, 0)
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamp[], $9::bigint[])
		WITH ORDINALITY AS v (thread_id, client_id, content_text, content_type, file_path, file_url, sender_type, created_at, agent_id, n)
	ORDER BY n
	ON CONFLICT (thread_id, client_id) WHERE client_id <> '' DO NOTHING
	RETURNING id, thread_id, client_id`

func (*postgres) InsertMessages(ctx context.Context, conn gorm.ConnPool, messages []Message) ([]Stored, error) {
	n := len(messages)
	var columns [7][]string
	for c := range columns {
		columns[c] = make([]string, n)
	}
	times, agents := make([]time.Time, n), make([]int64, n)
	for i := range messages {
		m := &messages[i]
		for c, value := range [...]string{m.ThreadID, m.ClientID, m.Text, m.ContentType, m.FilePath, m.FileURL, m.SenderType} {
			columns[c][i] = value
		}
		times[i], agents[i] = m.CreatedAt, m.AgentID
	}
	rows, err := conn.QueryContext(ctx, postgresInsert, columns[0], columns[1], columns[2], columns[3],
		columns[4], columns[5], columns[6], times, agents)
	stored, err := scanStored(make([]Stored, 0, n), rows, err)
	return byID(stored), err
}

const (
	postgresUpdate        = "UPDATE threads AS t SET " + postgresColumns + " FROM unnest(" + postgresArrays + ") AS v (" + postgresNames + ") WHERE t.id = v.id"
	postgresUpdateSession = "UPDATE threads AS t SET " + postgresColumns + `,
		waiting_since = v.waiting_since, visitor_received_id = v.visitor_received_id, agent_received_id = v.agent_received_id,
		talks = v.talks, answered_talk = v.answered_talk, status_by = CASE WHEN t.status = v.status THEN t.status_by END,
		assignee_id = nullif(v.assignee_id, 0)
		FROM unnest(` + postgresArrays + ", $14::timestamp[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[]) AS v (" + postgresNames + `,
			waiting_since, visitor_received_id, agent_received_id, talks, answered_talk, assignee_id)
		WHERE t.id = v.id`
	postgresColumns = `last_activity = v.last_activity, last_message_id = v.last_message_id, last_message = v.last_message,
		last_sender = v.last_sender, last_type = v.last_type, last_message_at = v.last_message_at,
		message_count = v.message_count, unread_count = v.unread_count,
		visitor_read_id = v.visitor_read_id, agent_read_id = v.agent_read_id, status = v.status, rev = v.rev`
	postgresArrays = `$1::text[], $2::timestamp[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamp[],
		$8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[]`
	postgresNames = `id, last_activity, last_message_id, last_message, last_sender, last_type, last_message_at,
		message_count, unread_count, visitor_read_id, agent_read_id, status, rev`
)

// UpdateThreads implements [Statements]. Most rows have an unchanged session, and use the shorter statement.
func (*postgres) UpdateThreads(ctx context.Context, conn gorm.ConnPool, rows []Thread) error {
	var same, changed []*Thread
	for i := range rows {
		if r := &rows[i]; r.SessionChanged {
			changed = append(changed, r)
		} else {
			same = append(same, r)
		}
	}
	if len(same) > 0 {
		if _, err := conn.ExecContext(ctx, postgresUpdate, postgresUpdateArgs(same)...); err != nil {
			return err
		}
	}
	if len(changed) == 0 {
		return nil
	}
	_, err := conn.ExecContext(ctx, postgresUpdateSession, postgresUpdateSessionArgs(changed)...)
	return err
}

func postgresUpdateArgs(rows []*Thread) []any {
	n := len(rows)
	ids, texts, senders, types, states := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	active, at := make([]time.Time, n), make([]*time.Time, n)
	last, count, unread, visitor, agent, rev := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range rows {
		ids[i], texts[i], senders[i], types[i], states[i] = r.ID, r.LastMessage, r.LastSender, r.LastType, r.Status
		active[i], at[i] = r.LastActivity, r.LastMessageAt
		last[i], count[i], unread[i] = r.LastMessageID, r.MessageCount, r.UnreadCount
		visitor[i], agent[i], rev[i] = r.VisitorReadID, r.AgentReadID, r.Rev
	}
	return []any{ids, active, last, texts, senders, types, at, count, unread, visitor, agent, states, rev}
}

func postgresUpdateSessionArgs(rows []*Thread) []any {
	n := len(rows)
	waiting := make([]*time.Time, n)
	visitor, agent, sessions, answered, assignees := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range rows {
		waiting[i], visitor[i], agent[i] = r.WaitingSince, r.VisitorReceivedID, r.AgentReceivedID
		sessions[i], answered[i], assignees[i] = r.Sessions, r.AnsweredSession, r.AssigneeID
	}
	return append(postgresUpdateArgs(rows), waiting, visitor, agent, sessions, answered, assignees)
}

const postgresEnqueue = `INSERT INTO outbox (channel, thread_id, message_id, kind, created_at)
	SELECT channel, thread_id, message_id, kind, created_at
	FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamp[])
		WITH ORDINALITY AS v (channel, thread_id, message_id, kind, created_at, n)
	ORDER BY n`

func (*postgres) InsertOutbox(ctx context.Context, conn gorm.ConnPool, rows []OutboxRow) error {
	channels, threads, messages := make([]string, len(rows)), make([]string, len(rows)), make([]int64, len(rows))
	kinds, times := make([]string, len(rows)), make([]time.Time, len(rows))
	for i, r := range rows {
		channels[i], threads[i], messages[i], kinds[i], times[i] = r.Channel, r.ThreadID, r.MessageID, r.Kind, r.CreatedAt
	}
	_, err := conn.ExecContext(ctx, postgresEnqueue, channels, threads, messages, kinds, times)
	return err
}

const (
	postgresActivity = `UPDATE threads AS t SET last_activity = v.at
		FROM unnest($1::text[], $2::timestamp[]) AS v (id, at) WHERE t.id = v.id AND t.last_activity < v.at`
	postgresSeen = `UPDATE users AS u SET last_seen = v.at
		FROM unnest($1::bigint[], $2::timestamp[]) AS v (id, at) WHERE u.id = v.id AND u.last_seen < v.at`
)

func (*postgres) UpdateActivity(ctx context.Context, conn gorm.ConnPool, rows []Activity) error {
	threads, users, times := make([]string, len(rows)), make([]int64, len(rows)), make([]time.Time, len(rows))
	for i, r := range rows {
		threads[i], users[i], times[i] = r.ThreadID, r.UserID, r.At
	}
	if _, err := conn.ExecContext(ctx, postgresActivity, threads, times); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, postgresSeen, users, times)
	return err
}
