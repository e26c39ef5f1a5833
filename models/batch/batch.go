// Package batch writes in batches: what accumulates while one batch is being committed becomes the next.
package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"sohbet/models/dberror"
)

// Errors to match with errors.Is.
var (
	ErrClosed = errors.New("models: store is closed")
	// ErrBusy means that the queue stayed full until the context ended; nothing was stored.
	ErrBusy = errors.New("models: write queue is full")
	// ErrPanic means that a commit panicked.
	ErrPanic = errors.New("the writer panicked")
)

const (
	queueLength = 4096
	maxJobs     = 512 // per batch
	attempts    = 3
)

// Handler does the work of a [Writer].
type Handler[Job, Result any] interface {
	// Commit writes jobs in one transaction and returns a result for each. On an error none of them is stored, unless the error is
	// dberror.ErrUnclear.
	Commit(jobs []Job) ([]Result, error)
	// Failed returns the result of jobs that could not be committed.
	Failed(jobs []Job, err error) Result
	// Deliver passes on the result of one job, in the order in which they were pushed. It slows down the writer if it blocks.
	Deliver(Job, Result)
	// Panicked is called in a deferred function with the value of a panic of Commit or Deliver.
	Panicked(value any)
}

// Writer commits queued jobs. One goroutine takes everything that was queued during the previous commit and commits it as one
// transaction; another delivers the results of a batch while the next one is being committed.
type Writer[Job, Result any] struct {
	handler Handler[Job, Result]
	queue   chan Job
	ready   chan batch[Job, Result]
	done    chan struct{}

	gate    sync.RWMutex // held for reading while pushing
	shut    bool
	closing chan struct{}

	batches atomic.Int64
}

// batch is a committed or failed set of jobs, in the order of their acceptance.
type batch[Job, Result any] struct {
	jobs    []Job
	results []Result
}

// Start starts a writer.
func Start[Job, Result any](h Handler[Job, Result]) *Writer[Job, Result] {
	w := &Writer[Job, Result]{
		handler: h,
		queue:   make(chan Job, queueLength),
		ready:   make(chan batch[Job, Result], 4), // bounded, so that slow deliveries slow down the writer
		done:    make(chan struct{}),
		closing: make(chan struct{}),
	}
	go w.run()
	go w.deliver()
	return w
}

// Close refuses new jobs, then waits until the queued ones are committed and delivered.
func (w *Writer[Job, Result]) Close() {
	close(w.closing) // unblocks goroutines that wait for space in the queue
	w.gate.Lock()
	w.shut = true
	w.gate.Unlock()
	close(w.queue)
	<-w.done
}

// Queued returns the number of jobs waiting in the queue.
func (w *Writer[Job, Result]) Queued() int { return len(w.queue) }

// Batches returns the number of committed batches.
func (w *Writer[Job, Result]) Batches() int64 { return w.batches.Load() }

// Push queues a job, waiting for space in the queue until ctx ends. It returns ErrBusy or ErrClosed if the job was not queued.
func (w *Writer[Job, Result]) Push(ctx context.Context, j Job) error {
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

func (w *Writer[Job, Result]) run() {
	defer close(w.ready)
	for first := range w.queue {
		jobs := append(make([]Job, 0, 1+min(len(w.queue), maxJobs-1)), first)
	gather:
		for len(jobs) < maxJobs {
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
		w.ready <- batch[Job, Result]{jobs: jobs, results: w.Commit(jobs)}
	}
}

func (w *Writer[Job, Result]) deliver() {
	defer close(w.done)
	for b := range w.ready {
		for i, j := range b.jobs {
			w.deliverOne(j, b.results[i])
		}
	}
}

func (w *Writer[Job, Result]) deliverOne(j Job, res Result) {
	defer func() {
		if p := recover(); p != nil {
			w.handler.Panicked(p)
		}
	}()
	w.handler.Deliver(j, res)
}

// Commit commits jobs and returns one result for each. If the database refuses a row, the batch is halved recursively until that row is
// alone, so that only it fails. If the database itself fails, all of them fail.
func (w *Writer[Job, Result]) Commit(jobs []Job) []Result {
	for try := 1; ; try++ {
		results, err := w.commitOnce(jobs)
		if err == nil {
			w.batches.Add(1)
			return results
		}
		switch fault := Fault(err); {
		case (fault == dberror.Transient || fault == dberror.Lost) && try < attempts:
			continue
		case (fault == dberror.Transient || fault == dberror.Row) && len(jobs) > 1:
			half := len(jobs) / 2
			return append(w.Commit(jobs[:half]), w.Commit(jobs[half:])...)
		}
		failed := w.handler.Failed(jobs, err)
		results = make([]Result, len(jobs))
		for i := range results {
			results[i] = failed
		}
		return results
	}
}

func (w *Writer[Job, Result]) commitOnce(jobs []Job) (results []Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.handler.Panicked(p)
			results, err = nil, ErrPanic
		}
	}()
	return w.handler.Commit(jobs)
}

// Fault returns what a failed commit has to be attributed to; a panic counts as the fault of a row.
func Fault(err error) dberror.Fault {
	if errors.Is(err, ErrPanic) {
		return dberror.Row
	}
	return dberror.Classify(err).Fault
}
