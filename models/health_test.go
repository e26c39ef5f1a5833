package models_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func exec(t *testing.T, s *models.Store, statement string) {
	t.Helper()
	if _, err := storetest.Raw(t, s).Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// condition checks the result of Check: "" for no error, or a part of the expected error.
func condition(t *testing.T, s *models.Store, reads, writes string) {
	t.Helper()
	c := s.Check(t.Context())
	for _, part := range []struct {
		name, want string
		got        error
	}{{"reads", reads, c.Reads}, {"writes", writes, c.Writes}} {
		if (part.got == nil) != (part.want == "") || part.got != nil && !strings.Contains(part.got.Error(), part.want) {
			t.Errorf("%s: %v, want %q", part.name, part.got, part.want)
		}
	}
}

func TestSQLiteFailuresAreReportedUntilTheyEnd(t *testing.T) {
	for name, c := range map[string]struct {
		breakIt, mend func(t *testing.T, s *models.Store, o models.Options)
		want          string
	}{
		"disk full": {
			func(t *testing.T, s *models.Store, _ models.Options) { exec(t, s, "PRAGMA max_page_count = 1") }, // never below the current size
			func(t *testing.T, s *models.Store, _ models.Options) { exec(t, s, "PRAGMA max_page_count = 1000000") },
			"disk of the database is full",
		},
		"read-only": {
			func(t *testing.T, s *models.Store, _ models.Options) { exec(t, s, "PRAGMA query_only = on") },
			func(t *testing.T, s *models.Store, _ models.Options) { exec(t, s, "PRAGMA query_only = off") },
			"read-only",
		},
		"locked": {
			func(t *testing.T, s *models.Store, o models.Options) {
				exec(t, s, "PRAGMA busy_timeout = 100")
				other := storetest.Raw(t, storetest.Reopen(t, o))
				if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil {
					t.Fatal(err)
				}
				unlock = func() { _, _ = other.Exec("ROLLBACK") }
			},
			func(*testing.T, *models.Store, models.Options) { unlock() },
			"locked",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			o := storetest.Options(t, "sqlite")
			plain := o
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := storetest.Reopen(t, o)
			th := thread(t, s, 1)
			say(t, s, th.ID, "before")
			condition(t, s, "", "")
			c.breakIt(t, s, plain)
			var err error
			for range 3 { // the last page may still have space
				_, err = s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, ContentText: repeat("x", 4000), SenderType: models.Visitor})
			}
			if !errors.Is(err, models.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("a message: %v", err)
			}
			condition(t, s, "", c.want)
			if list, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{}); err != nil || list[0].ContentText != "before" {
				t.Errorf("reading meanwhile: %d messages, %v", len(list), err)
			}
			c.mend(t, s, plain)
			say(t, s, th.ID, "after")
			condition(t, s, "", "")
			if n := strings.Count(log.String(), "database writes fail"); n != 1 || strings.Count(log.String(), "database writes work again") != 1 {
				t.Errorf("logged %d times: %s", n, log.String())
			}
		})
	}
}

var unlock func()

func TestDamagedSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chat.db")
	o := models.Options{URL: "sqlite://" + path, Keys: []string{storetest.Key}}
	s, err := models.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	th := thread(t, s, 1)
	fill(t, s, th.ID, 2000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(from, to int) {
		t.Helper()
		broken := bytes.Clone(whole)
		copy(broken[from:to], bytes.Repeat([]byte{0xa5}, to-from))
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoil(len(whole)/2, len(whole)-4096)
	s = storetest.Reopen(t, o)
	_, _, err = s.MessagePage(t.Context(), th.ID, 1, 1000)
	for page := 2; err == nil && page < 4; page++ {
		_, _, err = s.MessagePage(t.Context(), th.ID, page, 1000)
	}
	if !errors.Is(err, models.ErrUnavailable) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("reading: %v", err)
	}
	condition(t, s, "", "damaged")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(0, 4096)
	if s, err := models.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a file without its head: %v, %v", s, err)
	}
}

// gateway is a TCP proxy between a store and the server: it can refuse connections and drop data in flight.
type gateway struct {
	address string
	open    atomic.Bool
	drop    chan struct{}
}

func newGateway(t *testing.T, server string) *gateway {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	g := &gateway{address: ln.Addr().String(), drop: make(chan struct{})}
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			if !g.open.Load() {
				_ = in.Close()
				continue
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				_ = in.Close()
				continue
			}
			context.AfterFunc(t.Context(), func() { _, _ = in.Close(), out.Close() })
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() { _, _ = pipe(pair[0], pair[1]), in.Close() }()
			}
			go func() { <-g.drop; _, _ = in.Close(), out.Close() }()
		}
	}()
	return g
}

func pipe(to, from net.Conn) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			return err
		}
	}
}

// lose cuts every connection, and accepts new ones only if open.
func (g *gateway) lose(open bool) {
	g.open.Store(open)
	for {
		select {
		case g.drop <- struct{}{}:
			continue
		case <-time.After(50 * time.Millisecond):
		}
		return
	}
}

// through returns options that reach the test's server through a gateway.
func through(t *testing.T) (*gateway, models.Options) {
	t.Helper()
	o := storetest.Options(t, "postgres")
	u, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, u.Host)
	u.Host = g.address
	o.URL = u.String()
	return g, o
}

func TestOpenWaitsForPostgres(t *testing.T) {
	g, o := through(t)
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	o.Wait = 300 * time.Millisecond
	start := time.Now()
	_, err := models.Open(t.Context(), o)
	if !errors.Is(err, models.ErrUnavailable) || !strings.Contains(err.Error(), "gave up after 300ms") || strings.Contains(err.Error()+log.String(), "postgres://") {
		t.Errorf("without a server: %v", err)
	}
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("gave up after %v", took)
	}
	if n := strings.Count(log.String(), "waiting for the database: "); n < 1 || n > 3 {
		t.Errorf("%d lines: %s", n, log.String())
	}
	o.Wait = time.Minute
	time.AfterFunc(400*time.Millisecond, func() { g.open.Store(true) })
	s := storetest.Reopen(t, o)
	say(t, s, thread(t, s, 1).ID, "x")
}

func TestWrongPasswordIsNotWaitedFor(t *testing.T) {
	o := storetest.Options(t, "postgres")
	u, err := url.Parse(o.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "hunter2")
	o.URL, o.Wait = u.String(), time.Hour
	if _, err := models.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "refuses the user or password") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// Every query gets a pool of dead connections, and succeeds nevertheless.
func TestDeadConnectionsAreReplaced(t *testing.T) {
	g, o := through(t)
	g.open.Store(true)
	o.CacheTTL = 0
	s := storetest.Reopen(t, o)
	th := thread(t, s, 1)
	said := say(t, s, th.ID, "x").Message
	for name, ask := range map[string]func() error{
		"thread":       func() error { _, err := s.Thread(t.Context(), th.ID); return err },
		"threads":      func() error { _, err := s.Threads(t.Context(), models.ThreadQuery{}); return err },
		"messages":     func() error { _, _, err := s.Messages(t.Context(), th.ID, models.MessageQuery{}); return err },
		"message":      func() error { _, err := s.Message(t.Context(), said.ID); return err },
		"message page": func() error { _, _, err := s.MessagePage(t.Context(), th.ID, 1, 10); return err },
		"ping":         func() error { return s.Ping(t.Context()) },
		"check":        func() error { c := s.Check(t.Context()); return errors.Join(c.Reads, c.Writes) },
		"append": func() error {
			_, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor})
			return err
		},
		"create": func() error {
			_, err := s.CreateThread(t.Context(), models.NewThread{ID: "t" + itoa(time.Now().UnixNano())})
			return err
		},
		"update": func() error {
			name := "Ada"
			_, err := s.UpdateThread(t.Context(), th.ID, models.ThreadPatch{DisplayName: &name})
			return err
		},
		"save code": func() error {
			_, err := s.SaveCode(t.Context(), []byte("h"), "b", time.Now().Add(time.Hour))
			return err
		},
		"try code": func() error {
			_, _, err := s.TryCode(t.Context(), "b", time.Now(), 50, func([]byte) bool { return false })
			return err
		},
		"expire": func() error { _, _, err := s.Expire(t.Context(), time.Now().Add(-time.Hour)); return err },
		"empty": func() error {
			_, _, err := s.RemoveEmpty(t.Context(), time.Now().Add(-time.Hour), time.Time{})
			return err
		},
	} {
		g.lose(true)
		if err := ask(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnectionsRecoverAfterAnOutage(t *testing.T) {
	g, o := through(t)
	g.open.Store(true)
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := storetest.Reopen(t, o)
	th := thread(t, s, 1)
	g.lose(false)
	for range 50 {
		if _, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor}); !errors.Is(err, models.ErrUnavailable) {
			t.Fatalf("with the server gone: %v", err)
		}
	}
	condition(t, s, "PostgreSQL", "PostgreSQL")
	if n := strings.Count(log.String(), "database writes fail"); n != 1 {
		t.Errorf("an outage takes %d lines: %s", n, log.String())
	}
	g.open.Store(true)
	if got := say(t, s, th.ID, "back").Thread.MessageCount; got != 1 {
		t.Errorf("counted %d", got)
	}
	condition(t, s, "", "")
}
