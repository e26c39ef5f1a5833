package models_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestUpdatesAreRecordedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		record := func(ids ...int64) {
			t.Helper()
			var list []models.ReceivedUpdate
			for _, id := range ids {
				list = append(list, models.ReceivedUpdate{BotID: 1, UpdateID: id, Payload: fmt.Sprintf(`{"text":"private %d"}`, id)})
			}
			if err := s.RecordUpdates(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		pending := func() (list []models.ReceivedUpdate, short string) {
			t.Helper()
			list, err := s.PendingUpdates(t.Context(), 1, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range list {
				short += fmt.Sprint(u.UpdateID, u.Payload, u.Tries, " ")
			}
			return list, short
		}
		record()
		record(11, 10)
		record(10, 12)
		list, got := pending()
		if want := `10{"text":"private 10"}0 11{"text":"private 11"}0 12{"text":"private 12"}0 `; got != want {
			t.Fatalf("pending %q", got)
		}
		var stored string
		if err := storetest.Raw(t, s).QueryRow("SELECT payload FROM telegram_updates WHERE update_id = 10").Scan(&stored); err != nil || strings.Contains(stored, "private") {
			t.Errorf("stored as %q, %v", stored, err)
		}
		if err := s.UpdateDone(t.Context(), list[0], time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.UpdateTried(t.Context(), list[1]); err != nil {
			t.Fatal(err)
		}
		record(10)
		if _, got := pending(); got != `11{"text":"private 11"}1 12{"text":"private 12"}0 ` {
			t.Errorf("pending %q", got)
		}
		if err := storetest.Raw(t, s).QueryRow("SELECT payload FROM telegram_updates WHERE update_id = 10").Scan(&stored); err != nil || stored != "" {
			t.Errorf("a done one still says %q, %v", stored, err)
		}
		if list, err := s.PendingUpdates(t.Context(), 2, 10); err != nil || len(list) != 0 {
			t.Errorf("another bot: %v, %v", list, err)
		}
		if n, err := s.PurgeUpdates(t.Context(), time.Now().Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("purged %d, %v", n, err)
		}
	})
}
