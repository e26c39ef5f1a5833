package models

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"sohbet/models/dialect"
	"sohbet/models/encryption"
	"sohbet/models/names"
)

// transaction executes one batch: lock the threads, create the missing ones, insert the messages, move the marks, update the threads.
// Rows are locked before ids are drawn, so the ids of a thread increase in the order of acceptance even when several processes write.
type transaction struct {
	writer   *writer
	jobs     []*job
	outcomes []outcome
	rows     map[string]*lockedThread
	answers  []FirstAnswer // first answers in this batch
	stored   int64
	queued   []OutboxRow // rows added to the outbox
}

// lockedThread is a thread row locked by the transaction.
type lockedThread struct {
	Thread
	ticket ticket
	dirty  bool
	seen   bool    // the visitor wrote
	opened bool    // created in this batch, and not yet reported as Opened by a message
	buried *Thread // the deleted thread whose row still has this id; nil = none

	sessionChanged bool // since the transaction began, see Thread.sessionChanged

	sealed string // LastMessage as stored (encrypted)
	shut   bool   // LastMessage is not decrypted yet
}

// become replaces the state of the row.
func (r *lockedThread) become(next Thread) {
	r.dirty, r.sessionChanged = true, r.sessionChanged || next.sessionChanged(&r.Thread)
	next.Rev++
	r.Thread = next
}

// view returns the thread for callers, decrypting its preview, LastMessage, if needed. It is lazy because most batches replace the preview.
func (r *lockedThread) view(c *encryption.Cipher) Thread {
	if r.shut {
		r.LastMessage, r.shut = c.Text(r.sealed, r.LastMessageID), false
	}
	return r.Thread
}

func newTransaction(w *writer, jobs []*job) *transaction {
	return &transaction{
		writer:   w,
		jobs:     jobs,
		outcomes: make([]outcome, len(jobs)),
		rows:     make(map[string]*lockedThread, len(jobs)),
	}
}

func (t *transaction) run(ctx context.Context, tx *gorm.DB) error {
	conn := tx.Statement.ConnPool
	if err := t.lock(ctx, conn); err != nil {
		return err
	}
	if err := t.open(tx); err != nil {
		return err
	}
	if err := t.append(ctx, tx); err != nil {
		return err
	}
	if err := t.enqueue(ctx, conn); err != nil {
		return err
	}
	if err := t.mark(tx); err != nil {
		return err
	}
	if len(t.answers) > 0 {
		if err := tx.Create(&t.answers).Error; err != nil {
			return err
		}
	}
	dirty := make([]*lockedThread, 0, len(t.rows))
	for _, row := range t.rows {
		if row.dirty {
			dirty = append(dirty, row)
		}
	}
	if len(dirty) == 0 {
		return nil
	}
	slices.SortFunc(dirty, func(a, b *lockedThread) int { return strings.Compare(a.ID, b.ID) })
	updates := make([]dialect.Thread, len(dirty))
	for i, r := range dirty {
		updates[i] = r.columns()
	}
	return t.writer.sql.UpdateThreads(ctx, conn, updates)
}

// columns returns what the transaction writes of the row.
func (r *lockedThread) columns() dialect.Thread {
	return dialect.Thread{
		ID: r.ID, Status: r.Status, LastMessage: r.sealed, LastSender: r.LastSender, LastType: r.LastType,
		LastActivity: r.LastActivity, LastMessageAt: r.LastMessageAt, LastMessageID: r.LastMessageID,
		MessageCount: r.MessageCount, UnreadCount: r.UnreadCount, VisitorReadID: r.VisitorReadID, AgentReadID: r.AgentReadID,
		SessionChanged: r.sessionChanged, WaitingSince: r.WaitingSince,
		VisitorReceivedID: r.VisitorReceivedID, AgentReceivedID: r.AgentReceivedID, Sessions: r.Sessions, AnsweredSession: r.AnsweredSession, Rev: r.Rev,
		AssigneeID: int64(r.AssigneeID),
	}
}

func (t *transaction) lock(ctx context.Context, conn gorm.ConnPool) error {
	tickets := make(map[string]ticket, len(t.jobs))
	ids := make([]string, 0, len(t.jobs))
	for _, j := range t.jobs {
		if j.kind == flushJob {
			continue
		}
		id := j.thread()
		if _, known := tickets[id]; !known {
			tickets[id] = t.writer.store.cache.ticket(id)
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	err := t.writer.sql.Lock(ctx, conn, ids, func(rows *sql.Rows) error {
		row := &lockedThread{shut: true}
		if err := scanThread(rows, &row.Thread); err != nil {
			return err
		}
		if row.DeletedAt != nil { // missing, but its row exists
			t.rows[row.ID] = &lockedThread{ticket: tickets[row.ID], buried: &row.Thread}
			return nil
		}
		row.clampFuture(t.writer.store.Now())
		row.openFields(t.writer.store.cipher)
		row.ticket, row.sealed = tickets[row.ID], row.LastMessage
		t.rows[row.ID] = row
		return nil
	})
	if err != nil {
		return err
	}
	for id, ticket := range tickets {
		if t.rows[id] == nil {
			t.rows[id] = &lockedThread{ticket: ticket} // an empty ID means: not stored
		}
	}
	return nil
}

func (r *lockedThread) missing() bool { return r.ID == "" }

// open creates the threads that jobs ask for, and their users.
func (t *transaction) open(tx *gorm.DB) error {
	var threads []threadRow
	for i, j := range t.jobs {
		row := t.rows[j.thread()]
		var n NewThread
		at := t.writer.store.Now()
		switch {
		case j.kind == openJob && !row.missing():
			t.outcomes[i].err = ErrExists
			continue
		case j.kind == openJob:
			n = j.open
		case j.kind == appendJob && row.missing() && j.msg.OpenThread != nil:
			n, at = *j.msg.OpenThread, j.msg.CreatedAt
		default:
			continue
		}
		at = stamp(at)
		row.Thread = n.thread(at)
		row.AddressHash = t.writer.store.blocks.hasher.Hash(n.Address)
		row.Blocked = t.writer.store.Blocked(row.ID, "")
		if row.buried != nil {
			row.ClearedUntil, row.Rev = row.buried.ClearedUntil, max(row.Rev, row.buried.Rev+1)
		}
		row.opened = j.kind == appendJob
		row.dirty = true
		sealed := threadRow{Thread: row.Thread, SearchKey: names.SearchKey(n.DisplayName, n.PhoneNumber)}
		if err := sealed.sealPage(t.writer.store.cipher); err != nil {
			return err
		}
		threads = append(threads, sealed)
	}
	if len(threads) == 0 {
		return nil
	}
	// Insert in the order of ids, to avoid a deadlock with another process that opens the same threads.
	slices.SortFunc(threads, func(a, b threadRow) int { return strings.Compare(a.ID, b.ID) })
	users := make([]User, len(threads))
	for i, n := range threads {
		users[i] = User{Username: newHandle(), PhoneNumber: n.PhoneNumber, CreatedAt: n.CreatedAt, LastSeen: n.CreatedAt}
	}
	if err := tx.CreateInBatches(&users, 200).Error; err != nil {
		return err
	}
	for i := range threads {
		if err := checkNewID(users[i].ID); err != nil {
			return err
		}
		threads[i].UserID = users[i].ID
		t.rows[threads[i].ID].UserID = users[i].ID
	}
	if threads, err := t.reopenDeleted(tx, threads); err != nil {
		return err
	} else if len(threads) > 0 {
		if err := tx.CreateInBatches(&threads, 200).Error; err != nil {
			return err
		}
	}
	for i, j := range t.jobs {
		if j.kind == openJob && t.outcomes[i].err == nil {
			t.outcomes[i].Thread = t.rows[j.open.ID].Thread
		}
	}
	return nil
}

// thread returns the initial row of a new thread.
func (n NewThread) thread(at time.Time) Thread {
	return Thread{
		ID: n.ID, DisplayName: n.DisplayName, PhoneNumber: n.PhoneNumber, PageURL: n.PageURL, PageTitle: n.PageTitle,
		Locale: n.Locale, Browser: n.Browser, Platform: n.Platform, Status: StatusActive, CreatedAt: at, LastActivity: at,
		Rev: at.UnixMilli(),
	}
}

// append inserts the messages and computes, one by one, the resulting state of each thread.
func (t *transaction) append(ctx context.Context, tx *gorm.DB) error {
	messages := make([]dialect.Message, 0, len(t.jobs))
	for i, j := range t.jobs {
		switch m := &j.msg; {
		case j.kind != appendJob:
		case t.rows[m.ThreadID].missing():
			t.outcomes[i].err = ErrNotFound
		default:
			messages = append(messages, dialect.Message{
				ThreadID: m.ThreadID, ClientID: m.ClientID, Text: m.sealed, ContentType: m.ContentType, FilePath: m.FilePath,
				FileURL: m.FileURL, SenderType: m.SenderType, AgentID: int64(m.AgentID), CreatedAt: m.CreatedAt,
			})
		}
	}
	if len(messages) == 0 {
		return nil
	}
	if err := t.freeClientIDs(tx); err != nil {
		return err
	}
	stored, err := t.writer.sql.InsertMessages(ctx, tx.Statement.ConnPool, messages)
	if err != nil {
		return err
	}
	if n := len(stored); n > 0 {
		if err := checkNewID(stored[n-1].ID); err != nil { // they are in the order of ids
			return err
		}
	}
	t.stored = int64(len(stored))
	for i, j := range t.jobs {
		if j.kind != appendJob || t.outcomes[i].err != nil {
			continue
		}
		m, row, out := &j.msg, t.rows[j.msg.ThreadID], &t.outcomes[i]
		// The result lists stored messages in order: a message with a client id was stored if it is the next one there, and is a
		// duplicate otherwise.
		if m.ClientID != "" && (len(stored) == 0 || stored[0].ClientID != m.ClientID || stored[0].ThreadID != m.ThreadID) {
			out.Duplicate = true
			if err := t.first(tx, m, &out.Message); err != nil {
				return err
			}
			out.Thread = row.view(t.writer.store.cipher)
			continue
		}
		out.Message = Message{
			ID: stored[0].ID, ThreadID: m.ThreadID, ClientID: m.ClientID, ContentText: m.ContentText,
			ContentType: m.ContentType, FilePath: m.FilePath, FileURL: m.FileURL,
			SenderType: m.SenderType, AgentID: m.AgentID, CreatedAt: m.CreatedAt,
		}
		stored = stored[1:]
		out.Follows = row.LastMessageID
		next, effect := row.withMessage(&out.Message)
		if effect.firstAnswer != nil {
			t.answers = append(t.answers, *effect.firstAnswer)
		}
		out.Reopened, out.Waits, out.Assigned = effect.reopened, next.WaitingSince != row.WaitingSince, next.AssigneeID != row.AssigneeID
		row.become(next)
		row.sealed, row.shut = m.preview, false
		row.seen = row.seen || m.SenderType == Visitor
		out.Thread, out.Opened = row.Thread, row.opened
		row.opened = false
	}
	return nil
}

// first reads the stored message that has the same client id.
func (t *transaction) first(tx *gorm.DB, m *NewMessage, into *Message) error {
	var found Message
	if err := firstQuery(tx, m.ThreadID, m.ClientID).Take(&found).Error; err != nil {
		return err
	}
	*into = t.writer.store.decryptMessages([]Message{found})[0]
	return nil
}

// firstQuery repeats the condition of the partial index, otherwise PostgreSQL would not use it.
func firstQuery(db *gorm.DB, threadID, clientID string) *gorm.DB {
	return db.Where("thread_id = ? AND client_id = ? AND client_id <> ''", threadID, clientID)
}

// enqueue adds outbox rows for the stored messages.
func (t *transaction) enqueue(ctx context.Context, conn gorm.ConnPool) error {
	if !t.writer.store.telegram {
		return nil
	}
	rows := make([]dialect.OutboxRow, 0, len(t.jobs))
	for i := range t.outcomes {
		out := &t.outcomes[i]
		if t.jobs[i].kind != appendJob || out.err != nil || out.Duplicate {
			continue
		}
		shown := mirrored(out.Message.SenderType)
		row := dialect.OutboxRow{Channel: ChannelTelegram, ThreadID: out.Message.ThreadID, Kind: OutboxTopic, CreatedAt: out.Message.CreatedAt}
		if shown && out.Reopened || out.Assigned && t.writer.store.assignees {
			rows = append(rows, row)
		}
		if shown {
			row.Kind, row.MessageID = OutboxMessage, out.Message.ID
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	t.queued = make([]OutboxRow, len(rows))
	for i, row := range rows {
		t.queued[i] = OutboxRow{Channel: row.Channel, ThreadID: row.ThreadID}
	}
	return t.writer.sql.InsertOutbox(ctx, conn, rows)
}

// mark moves read and received marks.
func (t *transaction) mark(tx *gorm.DB) error {
	for i, j := range t.jobs {
		if j.kind != readJob && j.kind != receivedJob {
			continue
		}
		row, out := t.rows[j.threadID], &t.outcomes[i]
		if row.missing() {
			out.err = ErrNotFound
			continue
		}
		var next Thread
		count := false
		if j.kind == receivedJob {
			next, out.moved = row.withReceived(j.reader, j.lastID)
		} else {
			next, out.moved, count = row.withRead(j.reader, j.lastID)
		}
		if count {
			if err := countUnread(tx, row.ID, max(next.AgentReadID, next.ClearedUntil), &next.UnreadCount); err != nil {
				return err
			}
		}
		if out.moved || next.sessionChanged(&row.Thread) {
			row.become(next)
		}
		out.Thread = row.view(t.writer.store.cipher)
	}
	return nil
}

// countUnread counts the visitor's messages after an id.
func countUnread(tx *gorm.DB, threadID string, after int64, unread *int64) error {
	return tx.Model(&Message{}).Where("thread_id = ? AND id > ? AND sender_type = ?", threadID, after, Visitor).Count(unread).Error
}

// threadColumns are the columns that scanThread reads, in this order.
const threadColumns = `id, user_id, display_name, phone_number, sealed_page_url, locale, status, created_at, last_activity,
	last_message_id, last_message, last_sender, last_type, last_message_at, message_count, unread_count,
	visitor_read_id, agent_read_id, address_hash, waiting_since, visitor_received_id, agent_received_id, talks, answered_talk,
	rating, rating_comment, email, sealed_page_title, browser, platform, cleared_until, deleted_at, blocked, rev, status_by, assignee_id`

func scanThread(rows *sql.Rows, t *Thread) error {
	err := rows.Scan(&t.ID, &t.UserID, &t.DisplayName, &t.PhoneNumber, &t.PageURL, &t.Locale, &t.Status,
		&t.CreatedAt, &t.LastActivity, &t.LastMessageID, &t.LastMessage, &t.LastSender, &t.LastType,
		&t.LastMessageAt, &t.MessageCount, &t.UnreadCount, &t.VisitorReadID, &t.AgentReadID, &t.AddressHash,
		&t.WaitingSince, &t.VisitorReceivedID, &t.AgentReceivedID, &t.Sessions, &t.AnsweredSession,
		&t.Rating, &t.RatingComment, &t.Email, &t.PageTitle, &t.Browser, &t.Platform, &t.ClearedUntil, &t.DeletedAt, &t.Blocked, &t.Rev, &t.StatusBy,
		&t.AssigneeID)
	t.toUTC()
	return err
}
