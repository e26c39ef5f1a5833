package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
	"sohbet/server/jobs"
)

// The test kills processes, which are this binary with a variable that contains the database's URL.
const (
	childDatabase = "SOHBET_TEST_JOBS_CHILD"
	roundsName    = "SOHBET_TEST_KILLS" // kills for each kind of work; 100 takes half an hour
)

const (
	oldKey = "the first key of the kill test, 32+"
	newKey = "the second key of the kill test, 32+"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childDatabase); url != "" {
		child(url)
		return
	}
	os.Exit(m.Run())
}

// child does the jobs of a database like a server, until it is killed.
func child(url string) {
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := models.Open(ctx, models.Options{URL: url, Keys: []string{newKey, oldKey}, Logger: log})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	runner(s, log).Run(ctx)
}

func runner(s *models.Store, log *slog.Logger) *jobs.Runner {
	erase := jobs.Erase(s)
	service := chat.New(chat.Options{Store: s, Publisher: &chattest.Recorder{}, Presence: &broker.Memory{}, Topics: &broker.Memory{}})
	return jobs.New(jobs.Options{Store: s, Lanes: jobs.Lanes, Log: log, Work: map[string]jobs.Work{
		models.JobClear: erase, models.JobDelete: erase, models.JobClearAll: erase, models.JobPrune: service.Prune(func() time.Duration { return 0 }),
		models.JobCompact: jobs.Compact(s, false), models.JobRekey: jobs.Rekey(s),
	}})
}

const (
	threads    = 8
	perThread  = 400
	expiredOfT = perThread / 2 // in each thread
)

func threadID(n int) string { return fmt.Sprintf("thread-%d", n) }

// fill stores threads of messages, of which half are a hundred days old.
func fill(t *testing.T, s *models.Store) {
	t.Helper()
	old := time.Now().AddDate(0, 0, -100)
	for i := range threads * perThread {
		m := models.NewMessage{ThreadID: threadID(i % threads), ContentText: "message " + strconv.Itoa(i), SenderType: models.Visitor, OpenThread: &models.NewThread{}}
		if i < threads*expiredOfT {
			m.CreatedAt = old
		}
		if err := s.Append(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// want is what is readable: messages for each thread; -1 = the thread is deleted.
type want [threads]int

func (w want) all(n int) want {
	for i := range w {
		w[i] = n
	}
	return w
}

// check compares what is readable with want, and with what the threads count.
func check(t *testing.T, s *models.Store, w want, counted bool) {
	t.Helper()
	for i, n := range w {
		th, err := s.Thread(t.Context(), threadID(i))
		if n < 0 != errors.Is(err, models.ErrNotFound) {
			t.Errorf("thread %d: %v", i, err)
		}
		list, _, err := s.Messages(t.Context(), threadID(i), models.MessageQuery{Limit: 1000})
		if err != nil || counted && len(list) != max(n, 0) || len(list) < n || n <= 0 && len(list) != 0 {
			t.Errorf("thread %d: %d messages are readable, want %d, %v", i, len(list), n, err)
		}
		if int64(len(list)) != th.MessageCount || int64(len(list)) != th.UnreadCount {
			t.Errorf("thread %d: counts %d and %d, stored %d", i, th.MessageCount, th.UnreadCount, len(list))
		}
	}
}

// Work of every kind that is killed at any moment finishes after the restart; what is deleted is unreadable all the time, and counts are
// those of the stored rows.
func TestKilledWorkFinishes(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv(roundsName)); err == nil {
		rounds = n
	}
	kinds := []struct {
		kind  string
		start func(context.Context, *models.Store) (models.Job, error)
		want  want
		late  bool // want is reached at the end
	}{
		{kind: models.JobClear, start: func(ctx context.Context, s *models.Store) (models.Job, error) {
			return s.StartClear(ctx, threadID(0), 0)
		},
			want: func() want { w := want{}.all(perThread); w[0] = 0; return w }()},
		{kind: models.JobDelete, start: func(ctx context.Context, s *models.Store) (models.Job, error) {
			return s.StartDelete(ctx, threadID(0), 0)
		},
			want: func() want { w := want{}.all(perThread); w[0] = -1; return w }()},
		{kind: models.JobClearAll, start: func(ctx context.Context, s *models.Store) (models.Job, error) {
			j, _, err := s.StartClearAll(ctx, 0)
			return j, err
		}, want: want{}.all(-1)},
		{kind: models.JobPrune, start: func(ctx context.Context, s *models.Store) (models.Job, error) {
			return s.StartJob(ctx, models.JobPrune, "30")
		}, want: want{}.all(perThread - expiredOfT), late: true},
		{kind: models.JobCompact, start: func(ctx context.Context, s *models.Store) (models.Job, error) {
			if err := s.DeleteThread(ctx, threadID(0)); err != nil {
				return models.Job{}, err
			}
			return s.StartJob(ctx, models.JobCompact, "")
		}, want: func() want { w := want{}.all(perThread); w[0] = -1; return w }()},
		{kind: models.JobRekey, start: func(ctx context.Context, s *models.Store) (models.Job, error) {
			return s.StartJob(ctx, models.JobRekey, s.KeyID())
		}, want: want{}.all(perThread)},
	}
	for _, dialect := range storetest.Dialects {
		for _, k := range kinds {
			t.Run(dialect+"/"+k.kind, func(t *testing.T) {
				kills := 0
				for kills < rounds {
					kills += killUntilDone(t, dialect, rounds-kills, k.start, k.want, k.late)
				}
				t.Logf("%d kills", kills)
			})
		}
	}
}

// afterwards waits until PostgreSQL has ended what a killed process began, and lets its lease expire.
func afterwards(t *testing.T, s *models.Store) {
	t.Helper()
	db := storetest.Raw(t, s)
	for active := 1; active > 0; {
		err := db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'").Scan(&active)
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("UPDATE jobs SET lease_until = now() - interval '1 day' WHERE owner <> ''"); err != nil {
		t.Fatal(err)
	}
}

// killUntilDone does one job in processes that are killed, at most so often, and returns how often one was.
func killUntilDone(t *testing.T, dialect string, most int, start func(context.Context, *models.Store) (models.Job, error), w want, late bool) (kills int) {
	t.Helper()
	o := storetest.Options(t, dialect)
	o.Keys, o.CacheTTL = []string{oldKey}, 0
	first := storetest.Reopen(t, o)
	fill(t, first)
	o.Keys = []string{newKey, oldKey}
	s := storetest.Reopen(t, o)
	j, err := start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	during := w
	if late {
		during = during.all(perThread - expiredOfT)
	}
	for j.Unfinished() {
		check(t, s, during, !late)
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childDatabase+"="+o.URL)
		process.Stderr = os.Stderr
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		limit := 30 * time.Second
		if kills < most { // kill it a moment after its start or after it began to work
			limit = time.Duration(rand.IntN(300)) * time.Millisecond
			if rand.IntN(3) > 0 {
				for range 200 {
					if j, err = s.Job(t.Context(), j.ID); err != nil || !j.Unfinished() || j.Owner != "" {
						break
					}
					time.Sleep(5 * time.Millisecond)
				}
				limit = time.Duration(rand.IntN(60)) * time.Millisecond
			}
		}
		j = jobs.Wait(t.Context(), s, j, limit)
		_ = process.Process.Kill()
		_ = process.Wait() // its error is the kill
		if !j.Unfinished() {
			break
		}
		if kills++; kills > most+3 {
			t.Fatalf("does not finish: %+v", j)
		}
		if dialect == "postgres" {
			afterwards(t, s)
		}
	}
	check(t, s, w, true)
	hidden, rows := 0, 0
	db := storetest.Raw(t, s)
	if err := errors.Join(db.QueryRow("SELECT count(*) FROM threads WHERE cleared_until > 0 OR deleted_at IS NOT NULL").Scan(&hidden),
		db.QueryRow("SELECT count(*) FROM messages").Scan(&rows)); err != nil || hidden != 0 {
		t.Errorf("%d hidden threads, %v", hidden, err)
	}
	left := 0
	for _, n := range w {
		left += max(n, 0)
	}
	if rows != left {
		t.Errorf("%d rows, want %d", rows, left)
	}
	if dialect == "sqlite" {
		storetest.Intact(t, s)
	}
	if j.Kind == models.JobRekey {
		o.Keys = []string{newKey}
		check(t, storetest.Reopen(t, o), w, true)
		list, _, err := storetest.Reopen(t, o).Messages(t.Context(), threadID(0), models.MessageQuery{Oldest: true, Limit: 1})
		if err != nil || len(list) != 1 || list[0].ContentText != "message 0" {
			t.Errorf("with the new key: %+v, %v", list, err)
		}
	}
	return kills
}
