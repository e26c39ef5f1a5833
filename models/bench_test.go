package models_test

import (
	"sync"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

const benchThreads = 100

func benchMessage(i int) models.NewMessage {
	return models.NewMessage{
		ThreadID: threadID(i % benchThreads), ClientID: "c" + itoa(int64(i)), SenderType: models.Visitor,
		ContentText: "Merhaba, siparişim nerede kaldı? Dün gelecekti.",
	}
}

func onEach(b *testing.B, body func(b *testing.B, s *models.Store)) {
	onEachOf(b, func(*models.Options) {}, body)
}

func onEachOf(b *testing.B, change func(*models.Options), body func(b *testing.B, s *models.Store)) {
	for _, dialect := range storetest.Dialects {
		b.Run(dialect, func(b *testing.B) {
			o := storetest.Options(b, dialect)
			change(&o)
			s := storetest.Reopen(b, o)
			for i := range benchThreads {
				thread(b, s, i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := s.Stats()
			body(b, s)
			if n := s.Stats().Appended - before.Appended; n >= int64(b.N) {
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msg/s")
				b.ReportMetric(float64(n)/float64(s.Stats().Batches-before.Batches), "msg/commit")
			}
		})
	}
}

// One sender that waits for each message: the cost of a durable commit.
func BenchmarkAppendOneWaiting(b *testing.B) {
	onEach(b, func(b *testing.B, s *models.Store) {
		for i := range b.N {
			post(b, s, benchMessage(i))
		}
	})
}

// 64 senders, each waiting for its message.
func BenchmarkAppend64Waiting(b *testing.B) {
	onEach(b, func(b *testing.B, s *models.Store) {
		var wg sync.WaitGroup
		for w := range 64 {
			wg.Go(func() {
				for i := w; i < b.N; i += 64 {
					if _, err := s.AppendWait(b.Context(), benchMessage(i)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func pipelined(b *testing.B, s *models.Store, senders int) {
	var senderGroup, pending sync.WaitGroup
	pending.Add(b.N)
	for w := range senders {
		senderGroup.Go(func() {
			for i := w; i < b.N; i += senders {
				err := s.Append(b.Context(), benchMessage(i), func(_ models.Appended, err error) {
					if err != nil {
						b.Error(err)
					}
					pending.Done()
				})
				if err != nil {
					b.Error(err)
					pending.Done()
				}
			}
		})
	}
	senderGroup.Wait()
	pending.Wait()
}

// Senders that do not wait, like sockets.
func BenchmarkAppendOnePipelined(b *testing.B) {
	onEach(b, func(b *testing.B, s *models.Store) { pipelined(b, s, 1) })
}

func BenchmarkAppend64Pipelined(b *testing.B) {
	onEach(b, func(b *testing.B, s *models.Store) { pipelined(b, s, 64) })
}

// The same with a Telegram bot: every message has a row in the outbox.
func BenchmarkAppend64PipelinedWithOutbox(b *testing.B) {
	onEachOf(b, func(o *models.Options) { o.Telegram = true }, func(b *testing.B, s *models.Store) { pipelined(b, s, 64) })
}

func BenchmarkRecordActivity(b *testing.B) {
	onEach(b, func(b *testing.B, s *models.Store) {
		at := readThread(b, s, threadID(0)).CreatedAt
		for i := range b.N {
			if err := s.RecordActivity(b.Context(), threadID(i%benchThreads), at.Add(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkHistoryPage(b *testing.B) {
	onEach(b, func(b *testing.B, s *models.Store) {
		ids := fill(b, s, threadID(0), 1000)
		for b.Loop() {
			if _, _, err := s.Messages(b.Context(), threadID(0), models.MessageQuery{BeforeID: ids[500]}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
