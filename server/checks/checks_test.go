package checks

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sohbet/assets/locales"
	"sohbet/models/storetest"
	"sohbet/server/disk"
)

func TestDisk(t *testing.T) {
	const mega = 1 << 20
	for name, c := range map[string]struct {
		free           uint64
		floor          int64
		usage, probe   error
		status, reason string
		reads          bool
	}{
		"good":        {free: 900 * mega, status: OK},
		"low":         {free: 100 * mega, status: Warning, reason: "disk_low"},
		"full":        {free: 1 * mega, status: Error, reason: "disk_full"},
		"floor":       {free: 50 * mega, floor: 100 * mega, status: Error, reason: "disk_floor", reads: true},
		"reserve":     {free: 5 * mega, floor: 100 * mega, status: Error, reason: "disk_full"},
		"gone":        {usage: errors.New("x"), status: Error, reason: "folder_unreadable"},
		"read-only":   {free: 900 * mega, probe: &fs.PathError{Op: "open", Err: syscall.EROFS}, status: Error, reason: "folder_readonly", reads: true},
		"not ours":    {free: 900 * mega, probe: &fs.PathError{Op: "open", Err: syscall.EACCES}, status: Error, reason: "folder_readonly", reads: true},
		"no inodes":   {free: 900 * mega, probe: &fs.PathError{Op: "open", Err: syscall.ENOSPC}, status: Error, reason: "disk_full", reads: true},
		"other error": {free: 900 * mega, probe: &fs.PathError{Op: "open", Err: syscall.EIO}, status: Error, reason: "folder_unwritable", reads: true},
	} {
		space := disk.New(disk.Options{Floor: c.floor, Usage: func(string) (uint64, uint64, error) { return c.free, 1000 * mega, c.usage }, Probe: func(string) error { return c.probe }})
		r, state := Disk(t.Context(), space)
		if r.Status != c.status || r.Reason != c.reason || r.Reads != c.reads || state.Free != c.free && c.usage == nil {
			t.Errorf("%s: %+v", name, r)
		}
		if c.reason != "" && (r.Detail == "" || r.Cure("tr") == "" || r.Cure("en") == r.Cure("tr") || r.Text("tr") == r.Detail) {
			t.Errorf("%s: texts %q %q %q", name, r.Detail, r.Text("tr"), r.Cure("en"))
		}
	}
}

func TestClock(t *testing.T) {
	for off, want := range map[time.Duration]string{0: "", 9 * time.Second: "", -5 * time.Second: "", 12 * time.Second: "clock_ahead", -2 * time.Minute: "clock_behind"} {
		o := storetest.Options(t, "postgres")
		o.Clock = func() time.Time { return time.Now().Add(off) }
		r := Clock(t.Context(), storetest.Reopen(t, o))
		if r.Reason != want || (r.Status == OK) != (want == "") || want != "" && !regexp.MustCompile(`\d+ seconds`).MatchString(r.Detail) {
			t.Errorf("%s off: %+v", off, r)
		}
	}
}

// A database that cannot be reached is reported by its own check.
func TestClockOfAClosedDatabase(t *testing.T) {
	s := storetest.Open(t, "postgres")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r := Clock(t.Context(), s); r.Status != OK {
		t.Errorf("%+v", r)
	}
	if r := Database(t.Context(), s); r.Status != Error || r.Detail != "the database is closed" {
		t.Errorf("%+v", r)
	}
}

func TestVerifyIsBounded(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		s := storetest.Open(t, dialect)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if whole, err := s.Verify(ctx); whole || err != nil {
			t.Errorf("%s without time: %v, %v", dialect, whole, err)
		}
		if whole, err := s.Verify(t.Context()); !whole || err != nil {
			t.Errorf("%s: %v, %v", dialect, whole, err)
		}
	}
}

// Every cure is found by a reason that the code has, and every text has a cure.
func TestEveryTextHasACure(t *testing.T) {
	for name := range locales.All["en"]["checks"] {
		if !strings.HasSuffix(name, "_cure") && Cure("en", name) == "" {
			t.Errorf("%s has no cure", name)
		}
	}
}
