package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	errRow      = &pgconn.PgError{Code: "23503"}
	errConflict = &pgconn.PgError{Code: "40001"}
	errOutage   = &pgconn.PgError{Code: "53100"}
)

// recorder is a Handler whose jobs are numbers and whose results are errors.
type recorder struct {
	commit    func(jobs []int) error
	mu        sync.Mutex
	commits   [][]int
	delivered []int
	failed    map[int]error
	panics    int
}

func (r *recorder) Commit(jobs []int) ([]error, error) {
	r.mu.Lock()
	r.commits = append(r.commits, slices.Clone(jobs))
	r.mu.Unlock()
	if err := r.commit(jobs); err != nil {
		return nil, err
	}
	return make([]error, len(jobs)), nil
}

func (r *recorder) Failed(_ []int, err error) error { return err }

func (r *recorder) Deliver(job int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivered = append(r.delivered, job)
	if err != nil {
		if r.failed == nil {
			r.failed = make(map[int]error)
		}
		r.failed[job] = err
	}
	if job < 0 {
		panic("a bug of the caller")
	}
}

func (r *recorder) Panicked(any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panics++
}

// run pushes jobs, of which all but the first form one batch, and closes the writer.
func (r *recorder) run(t *testing.T, jobs ...int) {
	t.Helper()
	started, pushed := make(chan struct{}), make(chan struct{})
	commit := r.commit
	var first sync.Once
	r.commit = func(jobs []int) error {
		first.Do(func() { close(started); <-pushed })
		return commit(jobs)
	}
	w := Start(r)
	for i, j := range jobs {
		if err := w.Push(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-started
		}
	}
	close(pushed)
	w.Close()
	if !slices.Equal(r.delivered, jobs) {
		t.Errorf("delivered %v, want %v", r.delivered, jobs)
	}
	if err := w.Push(t.Context(), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestOneRowFailsAlone(t *testing.T) {
	for name, fail := range map[string]func() error{
		"refused": func() error { return errRow },
		"panic":   func() error { panic("a bug") },
	} {
		t.Run(name, func(t *testing.T) {
			r := recorder{commit: func(jobs []int) error {
				if slices.Contains(jobs, 7) {
					return fail()
				}
				return nil
			}}
			r.run(t, 0, 1, 2, 3, 4, 5, 6, 7, 8)
			if len(r.failed) != 1 || r.failed[7] == nil {
				t.Errorf("failed: %v", r.failed)
			}
		})
	}
}

func TestAnOutageFailsTheBatchAtOnce(t *testing.T) {
	r := recorder{commit: func(jobs []int) error {
		if slices.Contains(jobs, 7) {
			return errOutage
		}
		return nil
	}}
	r.run(t, 0, 6, 7, 8)
	if len(r.failed) != 3 || len(r.commits) != 2 {
		t.Errorf("failed %v after commits of %v", r.failed, r.commits)
	}
}

func TestConflictsAreRetried(t *testing.T) {
	for _, c := range []struct{ conflicts, failed int }{{attempts - 1, 0}, {1000, 3}} {
		left := c.conflicts
		r := recorder{commit: func(jobs []int) error {
			if slices.Contains(jobs, 0) || left == 0 {
				return nil
			}
			left--
			return errConflict
		}}
		r.run(t, 0, 1, 2, 3)
		if len(r.failed) != c.failed {
			t.Errorf("after %d conflicts failed %v", c.conflicts, r.failed)
		}
	}
}

func TestPanicsOfCallersAreContained(t *testing.T) {
	r := recorder{commit: func([]int) error { return nil }}
	r.run(t, 1, -2, 3)
	if r.panics != 1 || r.failed != nil {
		t.Errorf("%d panics, failed %v", r.panics, r.failed)
	}
}

func TestAFullQueueIsBusy(t *testing.T) {
	release, committing := make(chan struct{}), make(chan struct{}, queueLength)
	r := recorder{commit: func([]int) error { committing <- struct{}{}; <-release; return nil }}
	w := Start(&r)
	if err := w.Push(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	<-committing // from now on nothing is taken out of the queue
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var err error
	for i := 0; err == nil; i++ {
		if i > 2*(queueLength+maxJobs) {
			t.Fatal("the queue has no end")
		}
		err = w.Push(ctx, i)
	}
	if !errors.Is(err, ErrBusy) || w.Queued() != queueLength {
		t.Errorf("%v with %d queued", err, w.Queued())
	}
	close(release)
	w.Close()
	if w.Batches() == 0 || len(r.delivered) < queueLength {
		t.Errorf("%d delivered in %d batches", len(r.delivered), w.Batches())
	}
}
