package models

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"
)

// threadColumns are the columns that scanThread reads, in this order.
const threadColumns = `id, user_id, display_name, phone_number, sealed_page_url, locale, status, created_at, last_activity,
	last_message_id, last_message, last_sender, last_type, last_message_at, message_count, unread_count,
	visitor_read_id, agent_read_id, address_hash, waiting_since, visitor_received_id, agent_received_id, talks, answered_talk,
	rating, rating_comment, email, sealed_page_title, browser, platform`

func scanThreads(rows *sql.Rows, err error) ([]Thread, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Thread
	for rows.Next() {
		var t Thread
		err := rows.Scan(&t.ID, &t.UserID, &t.DisplayName, &t.PhoneNumber, &t.PageURL, &t.Locale, &t.Status,
			&t.CreatedAt, &t.LastActivity, &t.LastMessageID, &t.LastMessage, &t.LastSender, &t.LastType,
			&t.LastMessageAt, &t.MessageCount, &t.UnreadCount, &t.VisitorReadID, &t.AgentReadID, &t.AddressHash,
			&t.WaitingSince, &t.VisitorReceivedID, &t.AgentReceivedID, &t.Talks, &t.AnsweredTalk,
			&t.Rating, &t.RatingComment, &t.Email, &t.PageTitle, &t.Browser, &t.Platform)
		if err != nil {
			return nil, err
		}
		t.toUTC()
		list = append(list, t)
	}
	return list, rows.Err()
}

// scanStored appends the rows returned by an insert to into.
func scanStored(into []Message, rows *sql.Rows, err error) ([]Message, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var m Message
		if err := rows.Scan(&m.ID, &m.ThreadID, &m.ClientID); err != nil {
			return nil, err
		}
		into = append(into, m)
	}
	return into, rows.Err()
}

// postgresSQL passes whole columns as arrays: the statements are the same for any number of rows, so each is prepared once.
type postgresSQL struct{}

func (postgresSQL) close() {}

const postgresLock = "SELECT " + threadColumns + " FROM threads WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE"

func (postgresSQL) lock(ctx context.Context, conn gorm.ConnPool, ids []string) ([]Thread, error) {
	return scanThreads(conn.QueryContext(ctx, postgresLock, ids))
}

// nextval runs after the sort, so ids follow the order of the arrays.
const postgresInsert = `INSERT INTO messages
	(thread_id, client_id, content_text, content_type, file_path, file_url, sender_type, created_at)
	SELECT thread_id, client_id, content_text, content_type, file_path, file_url, sender_type, created_at
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamp[])
		WITH ORDINALITY AS v (thread_id, client_id, content_text, content_type, file_path, file_url, sender_type, created_at, n)
	ORDER BY n
	ON CONFLICT (thread_id, client_id) WHERE client_id <> '' DO NOTHING
	RETURNING id, thread_id, client_id`

func (postgresSQL) insert(ctx context.Context, conn gorm.ConnPool, messages []*NewMessage) ([]Message, error) {
	n := len(messages)
	var columns [7][]string
	for c := range columns {
		columns[c] = make([]string, n)
	}
	times := make([]time.Time, n)
	for i, m := range messages {
		for c, value := range [...]string{m.ThreadID, m.ClientID, m.sealed, m.ContentType, m.FilePath, m.FileURL, m.SenderType} {
			columns[c][i] = value
		}
		times[i] = m.CreatedAt
	}
	rows, err := conn.QueryContext(ctx, postgresInsert, columns[0], columns[1], columns[2], columns[3],
		columns[4], columns[5], columns[6], times)
	stored, err := scanStored(make([]Message, 0, n), rows, err)
	return byID(stored), err
}

const (
	postgresUpdate = "UPDATE threads AS t SET " + postgresEvery + " FROM unnest(" + postgresArrays + ") AS v (" + postgresNames + ") WHERE t.id = v.id"
	postgresTurned = "UPDATE threads AS t SET " + postgresEvery + `,
		waiting_since = v.waiting_since, visitor_received_id = v.visitor_received_id, agent_received_id = v.agent_received_id,
		talks = v.talks, answered_talk = v.answered_talk
		FROM unnest(` + postgresArrays + ", $13::timestamp[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[]) AS v (" + postgresNames + `,
			waiting_since, visitor_received_id, agent_received_id, talks, answered_talk)
		WHERE t.id = v.id`
	postgresEvery = `last_activity = v.last_activity, last_message_id = v.last_message_id, last_message = v.last_message,
		last_sender = v.last_sender, last_type = v.last_type, last_message_at = v.last_message_at,
		message_count = v.message_count, unread_count = v.unread_count,
		visitor_read_id = v.visitor_read_id, agent_read_id = v.agent_read_id, status = v.status`
	postgresArrays = `$1::text[], $2::timestamp[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamp[],
		$8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[]`
	postgresNames = `id, last_activity, last_message_id, last_message, last_sender, last_type, last_message_at,
		message_count, unread_count, visitor_read_id, agent_read_id, status`
)

// update writes each row once. Most rows have unchanged sessions, received marks and waiting_since, and use the shorter statement.
func (postgresSQL) update(ctx context.Context, conn gorm.ConnPool, rows []*lockedThread) error {
	var still, turned []*lockedThread
	for _, r := range rows {
		if r.turned {
			turned = append(turned, r)
		} else {
			still = append(still, r)
		}
	}
	if len(still) > 0 {
		if _, err := conn.ExecContext(ctx, postgresUpdate, postgresUpdateArgs(still)...); err != nil {
			return err
		}
	}
	if len(turned) == 0 {
		return nil
	}
	_, err := conn.ExecContext(ctx, postgresTurned, postgresTurnedArgs(turned)...)
	return err
}

func postgresUpdateArgs(rows []*lockedThread) []any {
	n := len(rows)
	ids, texts, senders, types, states := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	active, at := make([]time.Time, n), make([]*time.Time, n)
	last, count, unread, visitor, agent := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range rows {
		ids[i], texts[i], senders[i], types[i], states[i] = r.ID, r.sealed, r.LastSender, r.LastType, r.Status
		active[i], at[i] = r.LastActivity, r.LastMessageAt
		last[i], count[i], unread[i] = r.LastMessageID, r.MessageCount, r.UnreadCount
		visitor[i], agent[i] = r.VisitorReadID, r.AgentReadID
	}
	return []any{ids, active, last, texts, senders, types, at, count, unread, visitor, agent, states}
}

func postgresTurnedArgs(rows []*lockedThread) []any {
	n := len(rows)
	waiting := make([]*time.Time, n)
	visitor, agent, talks, answered := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range rows {
		waiting[i], visitor[i], agent[i], talks[i], answered[i] = r.WaitingSince, r.VisitorReceivedID, r.AgentReceivedID, r.Talks, r.AnsweredTalk
	}
	return append(postgresUpdateArgs(rows), waiting, visitor, agent, talks, answered)
}

const postgresEnqueue = `INSERT INTO outbox (channel, thread_id, message_id, kind, created_at)
	SELECT channel, thread_id, message_id, kind, created_at
	FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamp[])
		WITH ORDINALITY AS v (channel, thread_id, message_id, kind, created_at, n)
	ORDER BY n`

func (postgresSQL) enqueue(ctx context.Context, conn gorm.ConnPool, rows []OutboxRow) error {
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

func (postgresSQL) touch(ctx context.Context, conn gorm.ConnPool, rows []touched) error {
	threads, users, times := make([]string, len(rows)), make([]int64, len(rows)), make([]time.Time, len(rows))
	for i, r := range rows {
		threads[i], users[i], times[i] = r.threadID, r.userID, r.at
	}
	if _, err := conn.ExecContext(ctx, postgresActivity, threads, times); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, postgresSeen, users, times)
	return err
}
