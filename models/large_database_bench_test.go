package models_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// grow fills an empty store with threads t1, t2, … and ten times as many messages, a twentieth of them in t1, and returns the middle
// message id of t1.
func grow(b *testing.B, s *models.Store, threads int) (middle int64) {
	b.Helper()
	seed := post(b, s, models.NewMessage{ThreadID: "t0", ContentText: "Merhaba, siparişim nerede kaldı?", SenderType: models.Visitor, OpenThread: &models.NewThread{}})
	messages := 10 * threads
	at := "strftime('%Y-%m-%d %H:%M:%f+00:00', '2020-01-01', '+' || i || ' seconds')"
	thread := fmt.Sprintf("CASE WHEN i %% 20 = 0 THEN 't1' ELSE 't' || (i %% %d + 1) END", threads)
	if s.Dialect() == "postgres" {
		at = "timestamp '2020-01-01' + i * interval '1 second'"
	}
	token := fmt.Sprintf("(SELECT content_text FROM messages WHERE id = %d)", seed.Message.ID)
	for _, st := range []string{
		"INSERT INTO users (username) " + numbers(threads) + "SELECT 't' || i FROM n",
		"INSERT INTO threads (id, user_id, last_activity, last_message_at, message_count, last_message) " + numbers(threads) +
			"SELECT 't' || i, (SELECT max(id) FROM users), " + at + ", " + at + ", 10, " + token + " FROM n",
		"INSERT INTO messages (thread_id, client_id, sender_type, created_at, content_text) " + numbers(messages) +
			"SELECT " + thread + ", 'c' || i, 'visitor', " + at + ", " + token + " FROM n",
		"ANALYZE",
	} {
		if _, err := storetest.Raw(b, s).Exec(st); err != nil {
			b.Fatalf("%s: %v", st, err)
		}
	}
	row := storetest.Raw(b, s).QueryRow(fmt.Sprintf("SELECT id FROM messages WHERE thread_id = 't1' ORDER BY id LIMIT 1 OFFSET %d", messages/40))
	if err := row.Scan(&middle); err != nil {
		b.Fatal(err)
	}
	return middle
}

// BenchmarkLarge compares a database of 100,000 threads and 1,000,000 messages, 50,000 of them in one thread, with one of 1% of that
// size.
func BenchmarkLarge(b *testing.B) {
	for _, dialect := range storetest.Dialects {
		b.Run(dialect, func(b *testing.B) {
			times := map[string][2]time.Duration{}
			for size, threads := range [2]int{1_000, 100_000} {
				o := storetest.Options(b, dialect)
				o.CacheTTL = 0
				s := storetest.Reopen(b, o)
				middle := grow(b, s, threads)
				for name, do := range map[string]func() error{
					"thread-list": func() error { _, err := s.Threads(b.Context(), models.ThreadQuery{Limit: 500}); return err },
					"mid-history": func() error {
						list, _, err := s.Messages(b.Context(), "t1", models.MessageQuery{BeforeID: middle, Limit: 50})
						if err == nil && len(list) != 50 {
							err = fmt.Errorf("%d messages", len(list))
						}
						return err
					},
					"500-appends": func() error {
						done := make(chan error, 500)
						for i := range cap(done) {
							m := models.NewMessage{ThreadID: fmt.Sprintf("t%d", i*threads/cap(done)+1), ContentText: "Merhaba", SenderType: models.Visitor}
							if err := s.Append(b.Context(), m, func(_ models.Appended, err error) { done <- err }); err != nil {
								return err
							}
						}
						for range cap(done) {
							if err := <-done; err != nil {
								return err
							}
						}
						return nil
					},
				} {
					var runs []time.Duration
					for range 31 {
						start := time.Now()
						if err := do(); err != nil {
							b.Fatalf("%s: %v", name, err)
						}
						runs = append(runs, time.Since(start))
					}
					slices.Sort(runs)
					both := times[name]
					both[size] = runs[len(runs)/2]
					times[name] = both
				}
			}
			for name, both := range times {
				ratio := float64(both[1]) / float64(both[0])
				b.ReportMetric(ratio, name+"-ratio")
				b.ReportMetric(float64(both[1].Microseconds()), name+"-µs")
				if ratio > 2 {
					b.Errorf("%s takes %v, on the small database %v", name, both[1], both[0])
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkHeartbeats measures the CPU time, as a share of a core, for 10,000 visitors who each send one heartbeat per 30 s.
func BenchmarkHeartbeats(b *testing.B) {
	const visitors = 10_000
	onEach(b, func(b *testing.B, s *models.Store) {
		for i := benchThreads; i < visitors; i++ {
			m := models.NewMessage{ThreadID: threadID(i), SenderType: models.Visitor, OpenThread: &models.NewThread{}}
			if err := s.Append(b.Context(), m, nil); err != nil {
				b.Fatal(err)
			}
		}
		say(b, s, threadID(visitors-1), "the last one")
		models.FlushActivity(s)
		b.ResetTimer()
		before, at := cpu(b), time.Now()
		for n := range b.N {
			for i := range visitors {
				if err := s.RecordActivity(b.Context(), threadID(i), at.Add(time.Duration(n+1)*30*time.Second)); err != nil {
					b.Fatal(err)
				}
			}
			models.FlushActivity(s)
		}
		share := 100 * (cpu(b) - before).Seconds() / float64(b.N) / 30
		b.ReportMetric(share, "%core")
		if share > 5 {
			b.Errorf("heartbeats take %.1f %% of a core", share)
		}
	})
}

// cpu returns the CPU time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
