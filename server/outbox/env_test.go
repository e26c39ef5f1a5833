package outbox

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sohbet/models"
)

// table is an in-memory outbox table.
type table struct {
	mu     sync.Mutex
	rows   []models.OutboxRow
	last   int64
	listen func([]models.OutboxKey, bool)
	reads  int // number of queries for keys
	lost   int // number of records that are to fail
}

func (s *table) OutboxListen(_ string, f func([]models.OutboxKey, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen = f
}

// put queues a row of a key and returns its id.
func (s *table) put(thread string) int64 {
	s.mu.Lock()
	s.last++
	row := models.OutboxRow{ID: s.last, MessageID: s.last, ThreadID: thread, CreatedAt: time.Now()}
	s.rows = append(s.rows, row)
	f := s.listen
	s.mu.Unlock()
	if f != nil {
		f([]models.OutboxKey{row.Key()}, false)
	}
	return row.ID
}

func (s *table) OutboxKeys(_ context.Context, _ string, after int64) (keys []models.OutboxKey, newest int64, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	newest = after
	for _, r := range s.rows {
		if r.ID > after && r.SetAsideAt == nil {
			newest = max(newest, r.ID)
			if !slices.Contains(keys, r.Key()) {
				keys = append(keys, r.Key())
			}
		}
	}
	return keys, newest, nil
}

func (s *table) OutboxRows(_ context.Context, _ string, k models.OutboxKey, limit int) (rows []models.OutboxRow, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.Key() == k && r.SetAsideAt == nil && len(rows) < limit {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// OutboxBegin postpones a row for other processes.
func (s *table) OutboxBegin(_ context.Context, id int64, due time.Time) error {
	return s.change(id, func(r *models.OutboxRow) {
		if r.DueAt = &due; due.IsZero() {
			r.DueAt = nil
		}
	})
}

func (s *table) OutboxDone(_ context.Context, ids ...int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 {
		s.lost--
		return errors.New("the database is away")
	}
	s.rows = slices.DeleteFunc(s.rows, func(r models.OutboxRow) bool { return slices.Contains(ids, r.ID) })
	return nil
}

func (s *table) change(id int64, f func(*models.OutboxRow)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rows {
		if s.rows[i].ID == id {
			f(&s.rows[i])
		}
	}
	return nil
}

func (s *table) OutboxLater(_ context.Context, id int64, due time.Time) error {
	return s.change(id, func(r *models.OutboxRow) { r.Tries++; r.DueAt = &due })
}

func (s *table) OutboxSetAside(_ context.Context, id int64, reason string, at time.Time) error {
	return s.change(id, func(r *models.OutboxRow) { r.SetAsideAt, r.Reason = &at, reason })
}

func (s *table) aside() (ids []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.SetAsideAt != nil {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func (s *table) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.rows {
		if r.SetAsideAt == nil {
			n++
		}
	}
	return n
}

// call is a delivery that the destination accepted.
type call struct {
	at     time.Duration // since the start
	thread string
	ids    []int64
}

// env is a sender with its table and destination.
type env struct {
	*table
	t       *testing.T
	began   time.Time
	pace    *Pace
	sender  *Sender
	mu      sync.Mutex
	calls   []call
	tries   map[int64]int
	trouble error
	send    func(ctx context.Context, d Delivery) *Outcome // nil = the destination accepts everything
	stop    func()
	// reported is called after trouble was set; nil = nothing more happens
	reported func(error)
}

// Send delivers all pending rows.
func (s *env) Send(ctx context.Context, d Delivery) Outcome {
	s.mu.Lock()
	s.tries[d.Rows[0].ID]++
	s.mu.Unlock()
	if s.send != nil {
		if out := s.send(ctx, d); out != nil {
			if out.Err == nil {
				s.took(d, out.Done)
			}
			return *out
		}
	}
	s.took(d, d.Rows)
	return Outcome{Done: d.Rows}
}

func (s *env) took(d Delivery, rows []models.OutboxRow) {
	d.Slot.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := call{at: time.Since(s.began), thread: d.Rows[0].ThreadID}
	for _, r := range rows {
		c.ids = append(c.ids, r.ID)
	}
	s.calls = append(s.calls, c)
}

// arrived returns the ids accepted for a thread, and the time of the last one.
func (s *env) arrived(thread string) (ids []int64, last time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.thread == thread {
			ids, last = append(ids, c.ids...), c.at
		}
	}
	return ids, last
}

// seen returns the calls accepted so far, and the current error.
func (s *env) seen() ([]call, error) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls), s.trouble
}

func (s *table) looks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// open starts a sender with the fake clock of the test.
func open(t *testing.T, l Limit, send func(context.Context, Delivery) *Outcome) *env {
	s := &env{table: &table{}, t: t, began: time.Now(), pace: NewPace(l, time.Now), send: send, tries: make(map[int64]int)}
	s.sender = New(Options{
		Channel: "test", Store: s.table, Deliver: s, Pace: func(string) *Pace { return s.pace }, Workers: 4, MaxTries: 3,
		Trouble: func(err error) {
			s.mu.Lock()
			s.trouble = err
			s.mu.Unlock()
			if s.reported != nil {
				s.reported(err)
			}
		},
		Aside: func(context.Context, models.OutboxRow, string) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.sender.Run(ctx) }()
	s.stop = func() { cancel(); <-done }
	t.Cleanup(s.stop)
	synctest.Wait()
	return s
}

// minute is Telegram's limit for a group.
var minute = Limit{Count: 20, Per: time.Minute, Reserve: 2, Burst: 5}

// perWindow fails if more calls were accepted within a minute than the limit allows.
func (s *env) perWindow(most int) {
	s.t.Helper()
	calls, _ := s.seen()
	for i, c := range calls {
		if i >= most && c.at-calls[i-most].at < time.Minute {
			s.t.Errorf("%d calls within %v", most+1, c.at-calls[i-most].at)
			return
		}
	}
}
