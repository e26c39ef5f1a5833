package models

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"sohbet/models/batch"
	"sohbet/models/dberror"
	"sohbet/models/dialect"
)

type jobKind uint8

const (
	appendJob   jobKind = iota
	openJob             // CreateThread
	readJob             // MarkRead
	receivedJob         // MarkReceived
	flushJob            // Flush: nothing to write
)

// job is one write in the queue. Its outcome goes to reply or done, exactly once.
type job struct {
	kind jobKind

	msg  NewMessage // appendJob
	open NewThread  // openJob

	threadID, reader string // readJob, receivedJob
	lastID           int64

	done  func(Appended, error)
	reply chan outcome
}

// thread returns the id of the thread that the job writes to.
func (j *job) thread() string {
	switch j.kind {
	case openJob:
		return j.open.ID
	case readJob, receivedJob:
		return j.threadID
	}
	return j.msg.ThreadID
}

// outcome is the result of a job.
type outcome struct {
	Appended
	moved bool // a read or received mark moved
	err   error
}

// writer performs all writes of conversations, in batches.
type writer struct {
	*batch.Writer[*job, outcome]
	store *Store
	sql   dialect.Statements

	appended atomic.Int64
}

func newWriter(s *Store) (*writer, error) {
	sql, err := dialect.New(s.db, threadColumns)
	if err != nil {
		return nil, err
	}
	w := &writer{store: s, sql: sql}
	w.Writer = batch.Start[*job, outcome](batchHandler{w})
	return w, nil
}

// Append queues one message and returns as soon as it is queued. done (which may be nil) then runs exactly once, on the store's
// delivery goroutine: after the commit that made the message durable, or with the error that prevented it. Within one thread done runs
// in the order of ids, except for a duplicate, which reports the earlier message, and for messages queued by one goroutine in the order
// they were queued. done must not block: it would delay every other callback.
//
// When Append itself returns an error, nothing was queued and done never runs: an *InvalidError for a value the tables cannot hold, an
// error of the encryption, ErrBusy when the queue stayed full until ctx ended, ErrClosed. Once a message is queued, the end of ctx has no
// effect. done gets ErrNotFound if the thread is missing and OpenThread is nil.
func (s *Store) Append(ctx context.Context, m NewMessage, done func(Appended, error)) error {
	if err := s.prepare(&m); err != nil {
		return err
	}
	return s.writer.Push(ctx, &job{kind: appendJob, msg: m, done: done})
}

// AppendWait appends and waits until the message is durable. When ctx ends first, the message may
// still be stored; sending it again with the same ClientID is safe.
func (s *Store) AppendWait(ctx context.Context, m NewMessage) (Appended, error) {
	if err := s.prepare(&m); err != nil {
		return Appended{}, err
	}
	res, err := s.writer.wait(ctx, &job{kind: appendJob, msg: m})
	return res.Appended, err
}

func (s *Store) prepare(m *NewMessage) error {
	if m.CreatedAt.IsZero() {
		m.CreatedAt = s.Now()
	}
	return m.prepare(s.cipher)
}

// Flush returns after the callbacks of all messages committed before this call have run.
func (s *Store) Flush(ctx context.Context) error {
	_, err := s.writer.wait(ctx, &job{kind: flushJob})
	return err
}

// wait queues a job and waits for its outcome.
func (w *writer) wait(ctx context.Context, j *job) (outcome, error) {
	j.reply = make(chan outcome, 1)
	if err := w.Push(ctx, j); err != nil {
		return outcome{}, err
	}
	select {
	case res := <-j.reply:
		return res, res.err
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
}

// batchHandler implements [batch.Handler].
type batchHandler struct{ *writer }

// Deliver passes the outcome of a job to its caller.
func (w batchHandler) Deliver(j *job, res outcome) {
	switch {
	case j.reply != nil:
		j.reply <- res
	case j.done != nil:
		j.done(res.Appended, res.err)
	}
}

func (w batchHandler) Panicked(any) { // the value may contain a visitor's text
	w.store.log.Error("the writer or a callback of Append panicked", "stack", string(debug.Stack()))
}

func (w batchHandler) Failed(jobs []*job, err error) outcome {
	if batch.Fault(err) == dberror.Row {
		w.store.log.Error("failed to store messages", "jobs", len(jobs), "error", err)
	} else {
		w.store.batchFailed(err, len(jobs))
	}
	return outcome{err: w.store.failed("store", err)}
}

// Commit runs one transaction. The cache is updated before callers are notified.
func (w batchHandler) Commit(jobs []*job) ([]outcome, error) {
	t := newTransaction(w.writer, jobs)
	ctx, cancel := w.store.db.Limit(context.Background())
	defer cancel()
	tx := w.store.db.Write.WithContext(ctx).Begin()
	if tx.Error != nil {
		return nil, fmt.Errorf("begin: %w", tx.Error)
	}
	finished := false
	defer func() { // deferred, so that a panic also returns the only connection
		if !finished {
			tx.Rollback()
		}
	}()
	if err := t.run(ctx, tx); err != nil {
		return nil, err
	}
	finished = true
	if err := tx.Commit().Error; err != nil {
		for id := range t.rows {
			w.store.settled(id, err)
		}
		return nil, fmt.Errorf("%w: %w", dberror.ErrUnclear, err)
	}
	for id, row := range t.rows {
		if row.dirty {
			w.store.cache.wrote(row.ticket, row.view(w.store.cipher))
		}
		if row.seen {
			w.store.activity.record(id, row.LastActivity)
		}
	}
	if len(t.queued) > 0 {
		w.store.outboxQueued(t.queued...)
	}
	w.appended.Add(t.stored)
	w.store.batchStored()
	return t.outcomes, nil
}
