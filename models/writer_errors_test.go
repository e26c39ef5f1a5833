package models_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestPanicInTheWriterFailsOneRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		models.PanicOnInsert(s)
		th := thread(t, s, 1)
		var batch []models.NewMessage
		for i := range 20 {
			m := models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor, ContentText: fmt.Sprint(i)}
			if i == 7 {
				m.ClientID = "panic"
			}
			batch = append(batch, m)
		}
		_, errs := models.AppendBatch(s, batch)
		for i, err := range errs {
			if (err != nil) != (i == 7) {
				t.Errorf("row %d: %v", i, err)
			}
		}
		if _, err := s.AppendWait(t.Context(), batch[7]); err == nil {
			t.Error("the panic went unnoticed")
		}
		if res := say(t, s, th.ID, "after"); res.Thread.MessageCount != 20 {
			t.Errorf("counted %d", res.Thread.MessageCount)
		}
	})
}

// The server's connections are terminated repeatedly; a sender that retries failed messages loses and duplicates none.
func TestLostConnectionsAreReplaced(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s, other := storetest.Reopen(t, o), storetest.Open(t, "postgres")
	th := thread(t, s, 1)
	var mine string
	if err := storetest.Raw(t, s).QueryRow("SELECT current_setting('application_name')").Scan(&mine); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var sent atomic.Int64
	killed := make(chan int64)
	go func() {
		var n int64
		for !stop.Load() {
			before := sent.Load()
			res, err := storetest.Raw(t, other).Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '" + mine + "'")
			if err != nil {
				t.Error(err)
				break
			}
			gone, _ := res.RowsAffected()
			n += gone
			// On a slow machine a message takes longer than 100 ms.
			for time.Sleep(100 * time.Millisecond); sent.Load() == before && !stop.Load(); {
				time.Sleep(10 * time.Millisecond)
			}
		}
		killed <- n
	}()
	const senders, each = 4, 100
	inParallel(t, senders, func(w int) error {
		for n := range each {
			m := models.NewMessage{ThreadID: th.ID, ClientID: fmt.Sprintf("%d/%d", w, n), SenderType: models.Visitor}
			var err error
			for range 30 {
				if _, err = s.AppendWait(t.Context(), m); err == nil {
					break
				}
			}
			if err != nil {
				return err
			}
			sent.Add(1)
		}
		return nil
	})
	stop.Store(true)
	if n := <-killed; n == 0 {
		t.Error("no connection was ended, so this test proves nothing")
	}
	var stored int
	err := errors.New("not asked")
	for range 5 { // the first query may get a dead connection
		if err = storetest.Raw(t, s).QueryRow("SELECT count(*) FROM messages").Scan(&stored); err == nil {
			break
		}
	}
	if err != nil || stored != senders*each {
		t.Fatalf("stored %d of %d, %v", stored, senders*each, err)
	}
}
