package database_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/logging/loggingtest"
)

// TestPgBouncer uses a database through PgBouncer in transaction mode, where each transaction may get another session, from two stores
// with more connections than there are sessions.
func TestPgBouncer(t *testing.T) {
	o := storetest.Options(t, "postgres")
	direct := storetest.Reopen(t, o)
	if direct.Pooled() {
		t.Error("a direct connection is taken for one through a pooler")
	}
	var log loggingtest.Buffer
	o.URL = storetest.PgBouncer(t, o.URL, "transaction") + "&pgbouncer=true&keepalives=1" // as other drivers require
	o.CacheTTL, o.Logger = 0, slog.New(slog.NewTextHandler(&log, nil))
	stores := []*models.Store{storetest.Reopen(t, o), storetest.Reopen(t, o)}
	const threads, messages = 16, 12
	err := inParallel(threads, func(i int) error {
		s := stores[i%2]
		th, err := s.CreateThread(t.Context(), models.NewThread{ID: fmt.Sprintf("thread-%d", i), DisplayName: fmt.Sprintf("Visitor %d", i)})
		if err != nil {
			return err
		}
		for n := range messages {
			if _, err := stores[n%2].AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, ContentText: fmt.Sprintf("%d", n), SenderType: models.Visitor}); err != nil {
				return err
			}
			if _, _, err := stores[n%2].TelegramThread(t.Context(), th.ID); err != nil {
				return err
			}
			if _, err := stores[(n+1)%2].NewestIDs(t.Context(), 0); err != nil {
				return err
			}
			list, _, err := stores[(n+1)%2].Messages(t.Context(), th.ID, models.MessageQuery{Limit: 100})
			if err != nil {
				return err
			}
			if len(list) != n+1 || list[n].ContentText != fmt.Sprint(n) {
				return fmt.Errorf("after message %d there are %d", n, len(list))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c := stores[0].Check(t.Context()); c.Reads != nil || c.Writes != nil {
		t.Errorf("check: %v, %v", c.Reads, c.Writes)
	}
	if err := stores[0].Dump(t.Context(), t.TempDir(), func(string) {}); err != nil {
		t.Errorf("dump: %v", err)
	}
	if !stores[0].Pooled() || !strings.Contains(log.String(), "PgBouncer") {
		t.Errorf("PgBouncer is not recognised: %s", &log)
	}
	if !strings.Contains(log.String(), "parameter=keepalives") || strings.Contains(log.String(), "parameter=pgbouncer") {
		t.Errorf("parameters without effect: %s", &log)
	}
}

// inParallel runs n bodies concurrently.
func inParallel(n int, body func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = body(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func TestUnknownParametersAreNamed(t *testing.T) {
	o := storetest.Options(t, "postgres")
	through := storetest.PgBouncer(t, o.URL, "transaction")
	for _, address := range []string{o.URL, through} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("connection_limit", "5")
		u.RawQuery = q.Encode()
		o.URL = u.String()
		_, err = models.Open(t.Context(), o)
		password, _ := u.User.Password()
		if err == nil || !strings.Contains(err.Error(), `DATABASE_URL names the parameter "connection_limit"`) || strings.Contains(err.Error(), password) {
			t.Errorf("%v", err)
		}
	}
	o.URL = storetest.PgBouncer(t, storetest.Options(t, "postgres").URL, "statement")
	if _, err := models.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "pool_mode") {
		t.Errorf("in statement mode: %v", err)
	}
}
