package models_test

import (
	"context"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestLeaseMovesWhenItsHolderDies(t *testing.T) {
	o := storetest.Options(t, "postgres")
	first, second := storetest.Reopen(t, o), storetest.Reopen(t, o)
	take := func(s *models.Store, role string) *models.Lease {
		t.Helper()
		l, err := s.Lease(t.Context(), role)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	held := take(first, "bridge")
	if held == nil {
		t.Fatal("nobody has it and it was refused")
	}
	if take(second, "bridge") != nil || take(first, "bridge") != nil {
		t.Fatal("two have it")
	}
	other := take(second, "another")
	if other == nil {
		t.Fatal("another role was refused")
	}
	other.Release()
	if l := take(storetest.Open(t, "postgres"), "bridge"); l == nil {
		t.Error("another database's was refused")
	} else {
		l.Release()
	}
	// The connection breaks, as when its process is killed.
	_, err := models.Raw(t, second).Exec(`SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
		WHERE locktype = 'advisory' AND application_name = current_setting('application_name')`)
	if err != nil {
		t.Fatal(err)
	}
	next := await(t, func() *models.Lease { return take(second, "bridge") })
	select {
	case <-held.Lost():
	case <-time.After(30 * time.Second):
		t.Fatal("the first holder does not notice")
	}
	held.Release()
	if take(first, "bridge") != nil {
		t.Error("two have it after the first came back")
	}
	next.Release()
	last := await(t, func() *models.Lease { return take(first, "bridge") })
	last.Release()
}

// await asks until there is an answer.
func await(t *testing.T, f func() *models.Lease) *models.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if l := f(); l != nil {
			return l
		}
		select {
		case <-ctx.Done():
			t.Fatal("nobody gets the role")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestLeaseOfAFile(t *testing.T) {
	l, err := storetest.Open(t, "sqlite").Lease(t.Context(), "bridge")
	if err != nil || l == nil {
		t.Fatalf("%v, %v", l, err)
	}
	select {
	case <-l.Lost():
		t.Error("lost")
	default:
	}
	l.Release()
	l.Release()
}
