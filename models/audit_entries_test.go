package models_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// entries returns the audit trail, newest first.
func entries(t *testing.T, s *models.Store, q models.AuditQuery) []models.AuditEntry {
	t.Helper()
	q.Limit = 5000
	list, err := s.AuditEntries(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func addAudit(t *testing.T, s *models.Store, list ...models.AuditEntry) {
	t.Helper()
	if err := s.AddAudit(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

func TestAuditEntries(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := s.Now().UTC().Truncate(time.Millisecond)
		at := func(days int) time.Time { return now.AddDate(0, 0, days) }
		addAudit(t, s,
			models.AuditEntry{Event: "sign_in", Outcome: "ok", AgentID: 7, Actor: "Ada Lovelace", Address: "192.0.2.1", Browser: "Firefox 140 Linux", CreatedAt: at(-3), LastAt: at(-3)},
			models.AuditEntry{Event: "block", Outcome: "ok", Actor: "telegram", ThreadID: "thread", CreatedAt: at(-2), LastAt: at(-2)},
			models.AuditEntry{Event: "agent_changed", Outcome: "ok", AgentID: 7, Actor: "Ada Lovelace", AboutAgent: 8, Detail: "role", CreatedAt: at(-1), LastAt: at(-1)},
		)
		all := entries(t, s, models.AuditQuery{})
		if len(all) != 3 {
			t.Fatalf("%+v", all)
		}
		got := all[2]
		if got.Actor != "Ada Lovelace" || got.Address != "192.0.2.1" || got.AgentID != 7 || got.Times != 1 || !got.CreatedAt.Equal(at(-3)) {
			t.Errorf("%+v", got)
		}
		for name, c := range map[string]struct {
			q    models.AuditQuery
			want string
		}{
			"agent": {models.AuditQuery{AgentID: 7}, "agent_changed sign_in"}, "event": {models.AuditQuery{Event: "block"}, "block"},
			"from": {models.AuditQuery{From: at(-2)}, "agent_changed block"}, "to": {models.AuditQuery{To: at(-2)}, "sign_in"},
			"cursor": {models.AuditQuery{BeforeID: all[1].ID}, "sign_in"}, "all": {models.AuditQuery{AgentID: 7, From: at(-2), To: now}, "agent_changed"},
		} {
			var found []string
			for _, e := range entries(t, s, c.q) {
				found = append(found, e.Event)
			}
			if strings.Join(found, " ") != c.want {
				t.Errorf("%s: %v, want %s", name, found, c.want)
			}
		}
		var stored string
		if err := storetest.Raw(t, s).QueryRow("SELECT actor || address FROM audit_entries WHERE event = 'sign_in'").Scan(&stored); err != nil || strings.Contains(stored, "Ada") || strings.Contains(stored, "192.0") {
			t.Errorf("stored as %q, %v", stored, err)
		}
		if more, err := s.ExpireAudit(t.Context(), at(-2)); err != nil || more {
			t.Errorf("%v, %v", more, err)
		}
		if left := entries(t, s, models.AuditQuery{}); len(left) != 2 {
			t.Errorf("%d are left", len(left))
		}
	})
}

func TestRefusalsShareRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		hour := s.Now().UTC().Truncate(24 * time.Hour).Add(time.Hour)
		refusal := func(address string, at time.Time) models.AuditEntry {
			return models.AuditEntry{Event: "password", Outcome: "wrong", Address: address, Times: 2, CreatedAt: at, LastAt: at, Refusal: true}
		}
		addAudit(t, s, refusal("192.0.2.1", hour), refusal("192.0.2.1", hour.Add(time.Minute)), refusal("192.0.2.2", hour))
		addAudit(t, s, refusal("192.0.2.1", hour.Add(2*time.Minute)), refusal("192.0.2.1", hour.Add(-time.Minute)))
		byAddress := map[string][]int64{}
		for _, e := range entries(t, s, models.AuditQuery{}) {
			byAddress[e.Address] = append(byAddress[e.Address], e.Times)
			if e.Times == 6 && (!e.CreatedAt.Equal(hour) || !e.LastAt.Equal(hour.Add(2*time.Minute))) {
				t.Errorf("from %v to %v", e.CreatedAt, e.LastAt)
			}
		}
		if got := fmt.Sprint(byAddress); got != "map[192.0.2.1:[2 6] 192.0.2.2:[2]]" {
			t.Error(got)
		}

		// A flood from many addresses takes a bounded number of rows, and hides no act of an agent.
		for batch := range 4 {
			var flood []models.AuditEntry
			for i := range 400 {
				flood = append(flood, refusal(fmt.Sprintf("10.0.%d.%d", batch, i), s.Now()))
			}
			addAudit(t, s, append(flood, models.AuditEntry{Event: "block", Outcome: "ok", CreatedAt: s.Now(), LastAt: s.Now()})...)
		}
		var rows, times, acts int64
		for _, e := range entries(t, s, models.AuditQuery{}) {
			switch {
			case e.Event == "block":
				acts++
			case strings.HasPrefix(e.Address, "10.") || e.Address == "":
				rows++
				times += e.Times
			}
		}
		if times != 3200 || rows > 1002 || rows < 990 || acts != 4 {
			t.Errorf("%d rows of %d refusals, %d acts", rows, times, acts)
		}
		addAudit(t, s, refusal("192.0.2.2", hour)) // a row that exists still counts
		for _, e := range entries(t, s, models.AuditQuery{}) {
			if e.Address == "192.0.2.2" && e.Times != 4 {
				t.Errorf("%d times", e.Times)
			}
		}
	})
}

// Processes that store the same refusals at once add to the same rows.
func TestRefusalsOfSeveralProcesses(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			stores := []*models.Store{storetest.Reopen(t, o)}
			if dialect == "postgres" { // a second process on SQLite is refused
				stores = append(stores, storetest.Reopen(t, o), storetest.Reopen(t, o))
			}
			at := stores[0].Now()
			var wg sync.WaitGroup
			for _, s := range stores {
				for range 10 {
					wg.Go(func() {
						list := make([]models.AuditEntry, 0, 20)
						for i := range 20 {
							list = append(list, models.AuditEntry{Event: "code", Outcome: "wrong", Address: fmt.Sprintf("10.0.0.%d", i), Times: 1, CreatedAt: at, LastAt: at, Refusal: true})
						}
						if err := s.AddAudit(t.Context(), list); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			list := entries(t, stores[0], models.AuditQuery{})
			for _, e := range list {
				if e.Times != int64(10*len(stores)) {
					t.Errorf("%s: %d times", e.Address, e.Times)
				}
			}
			if len(list) != 20 {
				t.Errorf("%d rows", len(list))
			}
		})
	}
}
