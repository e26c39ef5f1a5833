package models

import (
	"context"
	"fmt"
)

type jobKind uint8

const (
	appendJob   jobKind = iota
	openJob             // CreateThread
	readJob             // MarkRead
	receivedJob         // MarkReceived
	settleJob           // Flush: nothing to write
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

// Append queues one message and returns as soon as it is queued. done (which may be nil) then runs exactly once, on the store's
// delivery goroutine: after the commit that made the message durable, or with the error that prevented it. Within one thread done runs
// in the order of ids, and for messages queued by one goroutine in the order they were queued. done must not block: it would delay
// every other callback.
//
// When Append itself returns an error, nothing was queued and done never runs: an *InvalidError for a value the tables cannot hold,
// ErrBusy when the queue stayed full until ctx ended, ErrClosed. Once queued, a message is stored even if ctx ends. A missing thread
// gives ErrNotFound unless OpenThread is set.
func (s *Store) Append(ctx context.Context, m NewMessage, done func(Appended, error)) error {
	if err := m.prepare(s.texts); err != nil {
		return err
	}
	return s.writer.push(ctx, &job{kind: appendJob, msg: m, done: done})
}

// AppendWait appends and waits until the message is durable. When ctx ends first, the message may
// still be stored; sending it again with the same ClientID is safe.
func (s *Store) AppendWait(ctx context.Context, m NewMessage) (Appended, error) {
	if err := m.prepare(s.texts); err != nil {
		return Appended{}, err
	}
	res, err := s.writer.wait(ctx, &job{kind: appendJob, msg: m})
	return res.Appended, err
}

// push queues a job, waiting for space in the queue until ctx ends.
func (w *writer) push(ctx context.Context, j *job) error {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if w.shut {
		return ErrClosed
	}
	select {
	case w.queue <- j:
		return nil
	default:
	}
	select {
	case w.queue <- j:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	case <-w.closing:
		return ErrClosed
	}
}

// wait queues a job and waits for its outcome.
func (w *writer) wait(ctx context.Context, j *job) (outcome, error) {
	j.reply = make(chan outcome, 1)
	if err := w.push(ctx, j); err != nil {
		return outcome{}, err
	}
	select {
	case res := <-j.reply:
		return res, res.err
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
}
