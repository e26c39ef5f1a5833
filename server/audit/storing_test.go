package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sohbet/models"
	"sohbet/server/audit"
)

// rows is a store that may fail.
type rows struct {
	mu      sync.Mutex
	failing bool
	list    []models.AuditEntry
	batches int
}

func (r *rows) Now() time.Time { return time.Now() }

func (r *rows) AddAudit(_ context.Context, list []models.AuditEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing {
		return errors.New("the database does not work")
	}
	r.batches++
	r.list = append(r.list, list...)
	return nil
}

func (r *rows) fail(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing = on
}

func (r *rows) events() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, e := range r.list {
		names = append(names, fmt.Sprint(e.Event, " ", e.Times))
	}
	return strings.Join(names, ", ")
}

func closeLog(t *testing.T, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestRowsAreStoredInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &rows{}
		l := audit.New(slog.New(slog.DiscardHandler), time.Now, store)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		l.Write(ctx, audit.Event{Name: audit.SignIn, Outcome: audit.OK})
		synctest.Wait()
		if got := store.events(); got != "sign_in 1" {
			t.Fatalf("%s: the first row waited", got)
		}
		store.fail(true)
		l.Write(ctx, audit.Event{Name: audit.Block, Outcome: audit.OK})
		for range 5000 {
			l.Write(ctx, audit.Event{Name: audit.Password, Outcome: audit.Wrong, Address: "192.0.2.1"})
		}
		time.Sleep(3 * time.Second)
		store.fail(false)
		time.Sleep(3 * time.Second)
		if got := store.events(); got != "sign_in 1, block 1, password 5000" || store.batches != 2 {
			t.Errorf("%s in %d batches", got, store.batches)
		}

		// What is written last, also after Run has ended, is stored by Close.
		l.Write(ctx, audit.Event{Name: audit.ThreadDelete, Outcome: audit.OK})
		stop()
		<-done
		l.Write(ctx, audit.Event{Name: audit.SignOut, Outcome: audit.OK})
		closeLog(t, l)
		if got := store.events(); !strings.HasSuffix(got, "thread_deleted 1, sign_out 1") {
			t.Error(got)
		}
	})
}

func TestStrangersShareRows(t *testing.T) {
	store := &rows{}
	l := audit.New(slog.New(slog.DiscardHandler), time.Now, store)
	for i := range 5000 {
		l.Write(t.Context(), audit.Event{Name: audit.CodeAsked, Outcome: audit.OK, Address: fmt.Sprintf("2001:db8::%x", i)})                                // one network
		l.Write(t.Context(), audit.Event{Name: audit.Code, Outcome: audit.Wrong, Address: fmt.Sprintf("10.0.%d.%d", i/256, i%256), Browser: "Firefox 140"}) // many
	}
	closeLog(t, l)
	var asked, wrong int64
	for _, e := range store.list {
		switch {
		case e.Event == audit.CodeAsked:
			asked += e.Times
			if e.Address != "2001:db8::/64" {
				t.Errorf("%+v", e)
			}
		case e.Address == "" && e.Browser != "":
			t.Errorf("%+v", e)
		default:
			wrong += e.Times
		}
	}
	if asked != 5000 || wrong != 5000 || len(store.list) > 1002 {
		t.Errorf("%d, %d in %d rows", asked, wrong, len(store.list))
	}
}

// A value that a column cannot hold must not prevent the others from being stored.
func TestRowsFitTheirColumns(t *testing.T) {
	store := &rows{}
	l := audit.New(slog.New(slog.DiscardHandler), time.Now, store)
	l.Write(t.Context(), audit.Event{Name: audit.Request, Outcome: audit.OK, Detail: "\x00" + strings.Repeat("ü", 500), Browser: strings.Repeat("x", 500)})
	closeLog(t, l)
	e := store.list[0]
	if len([]rune(e.Detail)) > models.MaxAuditText || len(e.Browser) > models.MaxAuditText || strings.Contains(e.Detail, "\x00") {
		t.Errorf("%+v", e)
	}
}
