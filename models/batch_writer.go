package models

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

const (
	queueLength  = 4096
	batchLength  = 512
	batchRetries = 3
)

// writer performs all writes of conversations. One goroutine (run) takes everything that was queued during the previous commit and
// commits it as one transaction; another (deliver) runs the callbacks of a batch while the next one is being committed.
type writer struct {
	store *Store
	sql   dialectSQL
	queue chan *job
	ready chan batch
	done  chan struct{}

	gate    sync.RWMutex // held for reading while pushing
	shut    bool
	closing chan struct{}

	batches, appended atomic.Int64
}

// batch is a committed or failed set of jobs, in the order of their acceptance.
type batch struct {
	jobs     []*job
	outcomes []outcome
}

func newWriter(s *Store) (*writer, error) {
	w := &writer{
		store:   s,
		queue:   make(chan *job, queueLength),
		ready:   make(chan batch, 4), // bounded, so that slow callbacks slow down the writer
		done:    make(chan struct{}),
		closing: make(chan struct{}),
	}
	var err error
	if s.dialect == dialectSQLite {
		w.sql, err = newSQLiteSQL(s)
	} else {
		w.sql = postgresSQL{}
	}
	return w, err
}

// close refuses new jobs, then waits until the queued ones are committed and their callbacks have run.
func (w *writer) close() {
	close(w.closing) // unblocks goroutines that wait for space in the queue
	w.gate.Lock()
	w.shut = true
	w.gate.Unlock()
	close(w.queue)
	<-w.done
}

func (w *writer) run() {
	defer close(w.ready)
	for first := range w.queue {
		jobs := append(make([]*job, 0, 1+min(len(w.queue), batchLength-1)), first)
	gather:
		for len(jobs) < batchLength {
			select {
			case j, open := <-w.queue:
				if !open {
					break gather
				}
				jobs = append(jobs, j)
			default:
				break gather
			}
		}
		w.ready <- batch{jobs: jobs, outcomes: w.settle(jobs)}
	}
}

func (w *writer) deliver() {
	defer close(w.done)
	for b := range w.ready {
		for i, j := range b.jobs {
			w.tell(j, b.outcomes[i])
		}
	}
}

// tell delivers the outcome of a job to its caller. A panic in a callback is contained.
func (w *writer) tell(j *job, res outcome) {
	if j.reply != nil {
		j.reply <- res
		return
	}
	if j.done == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			w.store.log.Error("a callback of Append panicked", "stack", string(debug.Stack()))
		}
	}()
	j.done(res.Appended, res.err)
}

// settle commits jobs and returns one outcome for each. If the database refuses a row, the batch is halved recursively until that row
// is alone, so that only it fails. If the database itself fails, all of them fail.
func (w *writer) settle(jobs []*job) []outcome {
	for try := 1; ; try++ {
		outcomes, err := w.commit(jobs)
		if err == nil {
			w.store.batchStored()
			return outcomes
		}
		switch fault := classify(err).fault; {
		case (fault == faultPassing || fault == faultLost) && try < batchRetries:
			continue
		case (fault == faultPassing || fault == faultRow) && len(jobs) > 1:
			half := len(jobs) / 2
			return append(w.settle(jobs[:half]), w.settle(jobs[half:])...)
		}
		if classify(err).fault == faultRow {
			w.store.log.Error("failed to store messages", "jobs", len(jobs), "error", err)
		} else {
			w.store.batchFailed(err, len(jobs))
		}
		outcomes = make([]outcome, len(jobs))
		for i := range outcomes {
			outcomes[i].err = w.store.failed("store", err)
		}
		return outcomes
	}
}

// errUnclear marks a failed COMMIT: the rows may or may not be stored, so nothing is retried here. The client retries with the same
// client id.
var errUnclear = errors.New("the commit failed")

var errPanic = errors.New("the writer panicked")

// commit runs one transaction. The cache is updated before callers are notified.
func (w *writer) commit(jobs []*job) (outcomes []outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.store.log.Error("the writer panicked", "stack", string(debug.Stack()))
			outcomes, err = nil, errPanic
		}
	}()
	t := newTransaction(w, jobs)
	ctx, cancel := w.store.limit(context.Background())
	defer cancel()
	tx := w.store.write.WithContext(ctx).Begin()
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
			w.store.cache.changed(id)
		}
		return nil, fmt.Errorf("%w: %w", errUnclear, err)
	}
	for id, row := range t.rows {
		if row.dirty {
			w.store.cache.wrote(row.ticket, row.view(w.store.texts))
		}
		if row.seen {
			w.store.touches.note(id, row.LastActivity)
		}
	}
	if len(t.queued) > 0 {
		w.store.outboxQueued(t.queued...)
	}
	w.batches.Add(1)
	w.appended.Add(t.stored)
	return t.outcomes, nil
}
