package models

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
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
	seen   bool // the visitor wrote
	turned bool // WaitingSince, Talks, AnsweredTalk or a received mark changed
	opened bool // created in this batch, and not yet reported as Opened by a message

	sealed string // LastMessage as stored (encrypted)
	shut   bool   // LastMessage is not decrypted yet
}

// view returns the thread for callers, decrypting its preview if needed. It is lazy because most batches replace the preview.
func (r *lockedThread) view(t *texts) Thread {
	if r.shut {
		r.LastMessage, r.shut = t.open(r.sealed, r.LastMessageID), false
	}
	return r.Thread
}

// dialectSQL is the part of the hot path that differs between the databases. conn is the open transaction.
type dialectSQL interface {
	// lock reads and locks thread rows in the order of their ids.
	lock(ctx context.Context, conn gorm.ConnPool, ids []string) ([]Thread, error)
	// insert stores messages in order. It returns the stored ones in that order with only ID, ThreadID and ClientID filled in; messages
	// missing from the result repeat a client id.
	insert(ctx context.Context, conn gorm.ConnPool, messages []*NewMessage) ([]Message, error)
	// update writes the thread columns that the writer maintains.
	update(ctx context.Context, conn gorm.ConnPool, rows []*lockedThread) error
	// enqueue adds rows to the outbox in order: Channel, ThreadID, MessageID, Kind and CreatedAt.
	enqueue(ctx context.Context, conn gorm.ConnPool, rows []OutboxRow) error
	// touch moves last_activity and last_seen forward.
	touch(ctx context.Context, conn gorm.ConnPool, rows []touched) error
	close()
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
	return t.writer.sql.update(ctx, conn, dirty)
}

func (t *transaction) lock(ctx context.Context, conn gorm.ConnPool) error {
	tickets := make(map[string]ticket, len(t.jobs))
	ids := make([]string, 0, len(t.jobs))
	for _, j := range t.jobs {
		if j.kind == settleJob {
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
	found, err := t.writer.sql.lock(ctx, conn, ids)
	if err != nil {
		return err
	}
	for _, row := range found {
		row.openFields(t.writer.store.texts)
		t.rows[row.ID] = &lockedThread{Thread: row, ticket: tickets[row.ID], sealed: row.LastMessage, shut: true}
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
	blocks := t.writer.store.blocks
	for i, j := range t.jobs {
		row := t.rows[j.thread()]
		var n NewThread
		at := time.Now()
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
		row.AddressHash = blocks.hash(blocks.keys[0], n.Address)
		row.opened = j.kind == appendJob
		row.dirty = true
		sealed := threadRow{Thread: row.Thread, SearchKey: searchKey(n.DisplayName, n.PhoneNumber)}
		if err := sealed.sealPage(t.writer.store.texts); err != nil {
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
		threads[i].UserID = users[i].ID
		t.rows[threads[i].ID].UserID = users[i].ID
	}
	if err := tx.CreateInBatches(&threads, 200).Error; err != nil {
		return err
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
	}
}

// append inserts the messages and computes, one by one, the resulting state of each thread.
func (t *transaction) append(ctx context.Context, tx *gorm.DB) error {
	messages := make([]*NewMessage, 0, len(t.jobs))
	for i, j := range t.jobs {
		switch {
		case j.kind != appendJob:
		case t.rows[j.msg.ThreadID].missing():
			t.outcomes[i].err = ErrNotFound
		default:
			messages = append(messages, &j.msg)
		}
	}
	if len(messages) == 0 {
		return nil
	}
	stored, err := t.writer.sql.insert(ctx, tx.Statement.ConnPool, messages)
	if err != nil {
		return err
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
			out.Thread = row.view(t.writer.store.texts)
			continue
		}
		out.Message = Message{
			ID: stored[0].ID, ThreadID: m.ThreadID, ClientID: m.ClientID, ContentText: m.ContentText,
			ContentType: m.ContentType, FilePath: m.FilePath, FileURL: m.FileURL,
			SenderType: m.SenderType, CreatedAt: m.CreatedAt,
		}
		stored = stored[1:]
		out.Follows = row.LastMessageID
		if a, ok := row.answer(&out.Message); ok {
			t.answers = append(t.answers, a)
		}
		waited := row.WaitingSince
		out.Reopened = row.take(&out.Message, m.preview)
		out.Waits = row.WaitingSince != waited
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
	*into = t.writer.store.ready([]Message{found})[0]
	return nil
}

// firstQuery repeats the condition of the partial index, otherwise PostgreSQL would not use it.
func firstQuery(db *gorm.DB, threadID, clientID string) *gorm.DB {
	return db.Where("thread_id = ? AND client_id = ? AND client_id <> ''", threadID, clientID)
}

// take updates a thread for a stored message. A message from the visitor reopens a closed thread.
func (r *lockedThread) take(m *Message, preview string) (reopened bool) {
	at, waited, talks, answered := m.CreatedAt, r.WaitingSince, r.Talks, r.AnsweredTalk
	r.dirty = true
	r.LastMessageID = m.ID
	r.LastMessage = cut(m.ContentText, LastMessageRunes)
	r.sealed, r.shut = preview, false
	r.LastSender = m.SenderType
	r.LastType = m.ContentType
	r.LastMessageAt = &at
	r.MessageCount++
	if at.After(r.LastActivity) {
		r.LastActivity = at
	}
	switch {
	case m.SenderType == Visitor:
		r.UnreadCount++
		r.seen = true
		reopened = r.Status == StatusClosed
		r.Status = StatusActive
		if reopened || r.Talks == 0 {
			r.Talks++
		}
		if r.WaitingSince == nil {
			r.WaitingSince = &at
		}
	case ofTeam(m.SenderType):
		r.WaitingSince, r.AnsweredTalk = nil, r.Talks
	}
	r.turned = r.turned || r.WaitingSince != waited || r.Talks != talks || r.AnsweredTalk != answered
	return reopened
}

// answer returns how long the visitor waited, if a message is the first answer in a session. It must be called before take.
func (r *lockedThread) answer(m *Message) (FirstAnswer, bool) {
	if !ofTeam(m.SenderType) || r.WaitingSince == nil || r.AnsweredTalk == r.Talks {
		return FirstAnswer{}, false
	}
	return FirstAnswer{WaitedMS: max(0, m.CreatedAt.Sub(*r.WaitingSince).Milliseconds()), AnsweredAt: m.CreatedAt}, true
}

// mark moves read and received marks, only forward and not past the newest message.
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
		to := min(j.lastID, row.LastMessageID)
		if mark := row.received(j.reader); to > *mark {
			*mark, row.dirty, row.turned, out.moved = to, true, true, j.kind == receivedJob
		}
		if mark := row.read(j.reader); j.kind == readJob && to > *mark {
			*mark, row.dirty, out.moved = to, true, true
			if err := t.recount(tx, row, j.reader); err != nil {
				return err
			}
		}
		out.Thread = row.view(t.writer.store.texts)
	}
	return nil
}

// recount recalculates the number of unread visitor messages after the agents' mark moved.
func (t *transaction) recount(tx *gorm.DB, row *lockedThread, reader string) error {
	if reader != Admin {
		return nil
	}
	if row.AgentReadID >= row.LastMessageID {
		row.UnreadCount = 0
		return nil
	}
	return tx.Model(&Message{}).Where("thread_id = ? AND id > ? AND sender_type = ?", row.ID, row.AgentReadID, Visitor).
		Count(&row.UnreadCount).Error
}
