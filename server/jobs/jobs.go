// Package jobs does long work that survives restarts: each job is a row of models.Job with its progress, which any process continues.
package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sohbet/models"
	"sohbet/server/signal"
)

// Store is the part of models.Store that jobs are stored in.
type Store interface {
	StartJob(ctx context.Context, kind, subject string) (models.Job, error)
	Job(ctx context.Context, id int64) (models.Job, error)
	ClaimJob(ctx context.Context, owner, former string, kinds ...string) (models.Job, error)
	ClaimJobID(ctx context.Context, owner string, id int64) (models.Job, error)
	KeepJob(context.Context, models.Job) error
	ReleaseJob(context.Context, models.Job) error
	EndJob(context.Context, models.Job) error
}

// Report records the progress of a job: change sets State, Done and Total. It does not block.
type Report = func(change func(*models.Job))

// Work does a job, from where its State says. It may be called again after an error, also by another process, and by two processes at once
// if one of them was paused.
type Work func(ctx context.Context, j models.Job, report Report) error

const (
	lookEvery   = 2 * time.Second  // for jobs of processes that ended
	retryAfter  = 10 * time.Second // after an error
	endTimeout  = 5 * time.Second
	serverNames = "server " // beginning of a server's name as an owner
)

// Options configures a [Runner].
type Options struct {
	Store Store
	Work  map[string]Work // by kind
	// Lanes are kinds of jobs; those of one lane are done one after the other.
	Lanes [][]string
	// Publish shows the progress of a job that takes longer than [models.JobHeartbeat]; nil = not shown.
	Publish func(models.Job)
	Log     *slog.Logger
}

// Runner does the jobs of a server.
type Runner struct {
	Options
	owner string
	wake  []signal.Signal // by lane
}

// New returns a runner.
func New(o Options) *Runner {
	r := &Runner{Options: o, owner: serverNames + rand.Text()}
	for range o.Lanes {
		r.wake = append(r.wake, signal.New())
	}
	return r
}

// Wake makes the runner look for jobs.
func (r *Runner) Wake() {
	for _, s := range r.wake {
		s.Set()
	}
}

// Run does jobs until ctx ends. What is interrupted is continued by another process or after a restart.
func (r *Runner) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	defer lanes.Wait()
	for i, kinds := range r.Lanes {
		lanes.Go(func() {
			for ctx.Err() == nil {
				pause := lookEvery
				j, err := r.Store.ClaimJob(ctx, r.owner, serverNames, kinds...)
				if err == nil {
					if err = r.do(ctx, &j); err == nil {
						continue
					}
					pause = retryAfter
				}
				if !errors.Is(err, models.ErrNotFound) && ctx.Err() == nil {
					r.Log.Error("a job failed; retrying", slog.String("kind", j.Kind), slog.Any("error", err))
				}
				select {
				case <-ctx.Done():
				case <-r.wake[i]:
				case <-time.After(pause):
				}
			}
		})
	}
}

// do does a claimed job and stores its result.
func (r *Runner) do(ctx context.Context, j *models.Job) error {
	work, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	current := func() models.Job {
		mu.Lock()
		defer mu.Unlock()
		return *j
	}
	var keeping sync.WaitGroup
	done, shown := make(chan struct{}), false
	keeping.Go(func() {
		tick := time.NewTicker(models.JobHeartbeat)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := current()
			if err := r.Store.KeepJob(work, now); errors.Is(err, models.ErrLeaseLost) {
				stop(err)
				return
			}
			shown = true
			r.publish(now)
		}
	})
	err := r.Work[j.Kind](work, current(), func(change func(*models.Job)) {
		mu.Lock()
		defer mu.Unlock()
		change(j)
	})
	close(done)
	keeping.Wait()
	if lost := context.Cause(work); errors.Is(lost, models.ErrLeaseLost) {
		return lost
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err != nil {
		if ctx.Err() == nil {
			j.Error = err.Error()
		}
		return errors.Join(err, r.Store.ReleaseJob(ending, *j))
	}
	j.Error = ""
	if err := r.Store.EndJob(ending, *j); err != nil {
		return err
	}
	finished := time.Now()
	j.FinishedAt = &finished
	if shown {
		r.publish(*j)
	}
	return nil
}

func (r *Runner) publish(j models.Job) {
	if r.Publish != nil {
		r.Publish(j)
	}
}

// Wait waits until a job is finished, for at most a time, and returns its state.
func Wait(ctx context.Context, s Store, j models.Job, most time.Duration) models.Job {
	end := time.Now().Add(most)
	for pause := 5 * time.Millisecond; j.Unfinished(); pause = min(2*pause, 200*time.Millisecond) {
		select {
		case <-ctx.Done():
			return j
		case <-time.After(min(pause, time.Until(end))):
		}
		if now, err := s.Job(ctx, j.ID); err == nil {
			j = now
		} else if errors.Is(err, models.ErrNotFound) { // finished, and deleted with others
			now := time.Now()
			j.FinishedAt = &now
		}
		if !time.Now().Before(end) {
			break
		}
	}
	return j
}

// Foreground does a job for a command, or follows it if another process, such as a running server, is doing it. It calls show with the
// progress.
func Foreground(ctx context.Context, s Store, kind, subject string, work Work, show func(models.Job)) (models.Job, error) {
	j, err := s.StartJob(ctx, kind, subject)
	if err != nil {
		return j, err
	}
	r := New(Options{Store: s, Work: map[string]Work{kind: work}, Publish: show})
	r.owner = "command " + rand.Text()
	for {
		claimed, err := s.ClaimJobID(ctx, r.owner, j.ID)
		if err == nil {
			err = r.do(ctx, &claimed)
			if errors.Is(err, models.ErrLeaseLost) {
				continue
			}
			return claimed, err
		}
		if !errors.Is(err, models.ErrNotFound) {
			return j, err
		}
		if j = Wait(ctx, s, j, models.JobHeartbeat); !j.Unfinished() {
			return j, nil
		}
		if err := ctx.Err(); err != nil {
			return j, err
		}
		show(j)
	}
}
