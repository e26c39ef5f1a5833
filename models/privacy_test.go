package models_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// Slow and failed statements are logged; the log must not contain user-written text.
func TestLogsAndErrorsCarryNoContent(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			var log bytes.Buffer
			o := storetest.Options(t, dialect)
			o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			o.SlowQuery = time.Nanosecond // every statement is slow
			s := storetest.Reopen(t, o)
			poison(t, s)
			th, err := s.CreateThread(t.Context(), models.NewThread{ID: "hush-thread", DisplayName: "hush-name", PhoneNumber: "hush-phone"})
			if err != nil {
				t.Fatal(err)
			}
			said := post(t, s, models.NewMessage{ThreadID: th.ID, ClientID: "hush-client", ContentText: "hush-text", SenderType: models.Visitor})
			if _, err := s.Threads(t.Context(), models.ThreadQuery{Search: "hush"}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Message(t.Context(), said.Message.ID); err != nil {
				t.Fatal(err)
			}
			_, refused := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, ContentType: "poison", FileURL: "hush-file", SenderType: models.Visitor})
			if refused == nil {
				t.Fatal("the refused text was stored")
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			name := "hush-other"
			_, failed := s.UpdateThread(ended, th.ID, models.ThreadPatch{DisplayName: &name})
			if failed == nil {
				t.Fatal("an ended context changed the thread")
			}
			_, invalid := s.AppendWait(t.Context(), models.NewMessage{ThreadID: "hush\x00", SenderType: models.Visitor})
			if err := s.Close(); err != nil { // nothing is logged after this
				t.Fatal(err)
			}
			all := log.String() + refused.Error() + failed.Error() + invalid.Error()
			if at := strings.Index(all, "hush"); at >= 0 {
				t.Fatalf("it says: %s", all[max(0, at-200):min(len(all), at+50)])
			}
			if !strings.Contains(log.String(), "SELECT") {
				t.Fatal("nothing was logged, so this test proves nothing")
			}
		})
	}
}
