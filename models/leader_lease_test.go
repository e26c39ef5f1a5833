package models_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func take(t *testing.T, s *models.Store, role string) *models.Lease {
	t.Helper()
	l, err := s.Lease(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// await retries until a store has the role.
func await(t *testing.T, s *models.Store, role string) *models.Lease {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if l := take(t, s, role); l != nil {
			return l
		}
		if time.Now().After(deadline) {
			t.Fatal("no process gets the role")
		}
	}
}

func lost(t *testing.T, l *models.Lease) {
	t.Helper()
	select {
	case <-l.Lost():
	case <-time.After(30 * time.Second):
		t.Fatal("the holder does not notice")
	}
}

// expireLeases expires a role, as if its holder had stopped renewing it.
func expireLeases(t *testing.T, s *models.Store) {
	t.Helper()
	if _, err := storetest.Raw(t, s).Exec("UPDATE leases SET expires_at = '2000-01-01 00:00:00'"); err != nil {
		t.Fatal(err)
	}
}

// expires returns the role's expiry by the database's clock.
func expires(t *testing.T, s *models.Store) (at time.Time) {
	t.Helper()
	if err := storetest.Raw(t, s).QueryRow("SELECT expires_at FROM leases WHERE role = 'bridge'").Scan(&at); err != nil {
		t.Fatal(err)
	}
	return at
}

// TestLease runs directly and through PgBouncer, where each statement may get another session.
func TestLease(t *testing.T) {
	for _, pooled := range []bool{false, true} {
		t.Run(map[bool]string{false: "direct", true: "pgbouncer"}[pooled], func(t *testing.T) {
			o := storetest.Options(t, "postgres")
			if pooled {
				o.URL = storetest.PgBouncer(t, o.URL, "transaction")
			}
			first, second := storetest.Reopen(t, o), storetest.Reopen(t, o)
			models.SetLeaseTimes(first, 2*time.Second, 1500*time.Millisecond, 50*time.Millisecond)
			models.SetLeaseTimes(second, 2*time.Second, 1500*time.Millisecond, 50*time.Millisecond)
			held := take(t, first, "bridge")
			if held == nil {
				t.Fatal("it is free and was refused")
			}
			for _, s := range []*models.Store{first, second} {
				if take(t, s, "bridge") != nil {
					t.Fatal("two have it")
				}
			}
			for begun, deadline := expires(t, first), time.Now().Add(30*time.Second); !expires(t, first).After(begun.Add(200 * time.Millisecond)); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("it is not renewed")
				}
			}
			if !held.Held() {
				t.Error("the holder believes that it lost what it renewed")
			}
			other := take(t, second, "another")
			if other == nil {
				t.Fatal("another role was refused")
			}
			other.Release()
			held.Release()
			next := take(t, second, "bridge")
			if next == nil {
				t.Fatal("what was given up is not free")
			}
			models.PauseLease(next) // like a paused process
			third := await(t, first, "bridge")
			if next.Held() {
				t.Error("two hold it")
			}
			lost(t, next)
			next.Release() // must not release the role of the other
			if take(t, second, "bridge") != nil || !third.Held() {
				t.Error("two have it after the first came back")
			}
			third.Release()
		})
	}
}

// TestFence checks that a process that lost its role without noticing cannot write.
func TestFence(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) { testFence(t, dialect) })
	}
}

func testFence(t *testing.T, dialect string) {
	o := storetest.Options(t, dialect)
	o.Telegram = true
	s := storetest.Reopen(t, o)
	th := thread(t, s, 1)
	for _, text := range []string{"one", "two", "three"} {
		say(t, s, th.ID, text)
	}
	rows := func() []models.OutboxRow {
		t.Helper()
		list, err := s.OutboxRows(t.Context(), models.ChannelTelegram, models.OutboxKey{ThreadID: th.ID}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	before := rows()
	if len(before) != 3 {
		t.Fatalf("%d rows", len(before))
	}
	old := take(t, s, "bridge")
	defer old.Release()
	ctx := old.Context(t.Context())
	if err := models.CheckLease(ctx); err != nil || models.CheckLease(t.Context()) != nil {
		t.Errorf("a holder may not go on: %v", err)
	}
	if err := s.OutboxDone(ctx, before[0].ID); err != nil {
		t.Fatalf("the holder may not write: %v", err)
	}
	expireLeases(t, s)
	next := take(t, s, "bridge")
	if next == nil {
		t.Fatal("an expired role was refused")
	}
	defer next.Release()
	link := models.TelegramLink{ThreadID: th.ID, MessageID: before[1].MessageID, ChatID: 1, TelegramMessageID: 1}
	for name, write := range map[string]func(context.Context) error{
		"done":      func(ctx context.Context) error { return s.OutboxDone(ctx, before[1].ID) },
		"later":     func(ctx context.Context) error { return s.OutboxLater(ctx, before[1].ID, time.Now().Add(time.Hour)) },
		"set aside": func(ctx context.Context) error { return s.OutboxSetAside(ctx, before[1].ID, "x", time.Now()) },
		"sent": func(ctx context.Context) error {
			_, err := s.OutboxSent(ctx, before[1:2], []models.TelegramLink{link}, false)
			return err
		},
		"link":  func(ctx context.Context) error { return s.Link(ctx, link) },
		"queue": func(ctx context.Context) error { return s.QueueTopic(ctx, th.ID) },
		"topic": func(ctx context.Context) error {
			return s.SetTopic(ctx, models.TelegramThread{ThreadID: th.ID, TopicID: 5})
		},
	} {
		if err := write(ctx); !errors.Is(err, models.ErrLeaseLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := rows(); len(left) != 2 || left[0] != before[1] || left[1] != before[2] {
		t.Errorf("the rows have become %+v", left)
	}
	if links, err := s.LinksOf(t.Context(), link.MessageID); err != nil || len(links) != 0 {
		t.Errorf("links %+v, %v", links, err)
	}
	lost(t, old)
	if err := models.CheckLease(ctx); !errors.Is(err, models.ErrLeaseLost) {
		t.Errorf("it may go on: %v", err)
	}
	if err := s.OutboxDone(next.Context(t.Context()), before[1].ID); err != nil {
		t.Errorf("the next holder: %v", err)
	}
}

// TestLeaseWaitsForAnEarlierVersion: in earlier versions the role was a session-level advisory lock.
func TestLeaseWaitsForAnEarlierVersion(t *testing.T) {
	s := storetest.Open(t, "postgres")
	models.SetLeaseTimes(s, 2*time.Second, time.Second, 100*time.Millisecond)
	conn, err := storetest.Raw(t, s).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	lock := func(call string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), "SELECT "+call+"(hashtextextended('sohbet ' || current_schema() || ' ' || 'bridge', 0))"); err != nil {
			t.Fatal(err)
		}
	}
	lock("pg_advisory_lock")
	if take(t, s, "bridge") != nil {
		t.Fatal("two have it")
	}
	lock("pg_advisory_unlock")
	l := take(t, s, "bridge")
	if l == nil {
		t.Fatal("it is free and was refused")
	}
	lock("pg_advisory_lock") // a process of the earlier version that was waiting for the lock before the upgrade
	lost(t, l)
	l.Release()
}

func TestLeaseOfAFile(t *testing.T) {
	s := storetest.Open(t, "sqlite")
	for range 2 { // the second as after a crash
		if l := take(t, s, "bridge"); l == nil || !l.Held() {
			t.Fatal("refused")
		}
	}
}

// The database's clock is set back by an hour, and the holder is gone: the role is free after the usual time.
func TestALeaseFromTheFuture(t *testing.T) {
	o := storetest.Options(t, "postgres")
	first, second := storetest.Reopen(t, o), storetest.Reopen(t, o)
	for _, s := range []*models.Store{first, second} {
		models.SetLeaseTimes(s, 500*time.Millisecond, 300*time.Millisecond, 50*time.Millisecond)
	}
	alive := take(t, first, "bridge")
	exec(t, first, "UPDATE leases SET expires_at = expires_at + interval '1 hour'")
	if l := take(t, second, "bridge"); l != nil || !alive.Held() {
		t.Error("the role of a living holder was taken")
	}
	models.PauseLease(alive)
	exec(t, first, "UPDATE leases SET expires_at = expires_at + interval '1 hour'")
	await(t, second, "bridge").Release()
}
