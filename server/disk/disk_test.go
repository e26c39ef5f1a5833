package disk_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sohbet/server/disk"
)

const mega = 1 << 20

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		floor              int64
		free, total, spare uint64
		want               disk.Level
	}{
		{128 * mega, 100_000 * mega, 1_000_000 * mega, 0, disk.OK},
		{128 * mega, 513 * mega, 1_000_000 * mega, 0, disk.OK},
		{128 * mega, 511 * mega, 1_000_000 * mega, 0, disk.Low},
		{128 * mega, 129 * mega, 1_000_000 * mega, 0, disk.Low},
		{128 * mega, 127 * mega, 1_000_000 * mega, 0, disk.Full},
		{128 * mega, 127 * mega, 1_000_000 * mega, 2 * mega, disk.Low}, // free space inside the database file counts
		{128 * mega, 15 * mega, 1_000_000 * mega, 900 * mega, disk.Reserve},
		{128 * mega, 201 * mega, 1000 * mega, 0, disk.OK}, // a small volume
		{128 * mega, 199 * mega, 1000 * mega, 0, disk.Low},
		{128 * mega, 101 * mega, 1000 * mega, 0, disk.Low},
		{128 * mega, 99 * mega, 1000 * mega, 0, disk.Full},
		{128 * mega, 12 * mega, 1000 * mega, 0, disk.Reserve},
		{2000 * mega, 1999 * mega, 1_000_000 * mega, 0, disk.Full}, // a configured floor
		{0, 0, 1000 * mega, 0, disk.Low},
	} {
		s := disk.New(disk.Options{Floor: c.floor, Usage: func(string) (uint64, uint64, error) { return c.free, c.total, nil },
			Spare: func(context.Context) (uint64, error) { return c.spare, nil }})
		if st := s.State(t.Context()); st.Level != c.want || st.Free != c.free || st.Total != c.total {
			t.Errorf("%+v: %+v", c, st)
		}
	}
}

func TestDiskIsLookedAtOnceASecond(t *testing.T) {
	looks, now := 0, time.Unix(1000, 0)
	s := disk.New(disk.Options{Floor: mega, Now: func() time.Time { return now }, Usage: func(string) (uint64, uint64, error) {
		looks++
		return 100 * mega, 1000 * mega, nil
	}})
	for range 1000 {
		s.State(t.Context())
		now = now.Add(3 * time.Millisecond)
	}
	if looks != 3 {
		t.Errorf("%d looks in three seconds", looks)
	}
	if free, err := s.Free(); err != nil || free != 99*mega {
		t.Errorf("%d bytes for files, %v", free, err)
	}
}

func TestBrokenDiskRefusesNothing(t *testing.T) {
	gone := errors.New("gone")
	s := disk.New(disk.Options{Floor: mega, Usage: func(string) (uint64, uint64, error) { return 0, 0, gone }})
	if st := s.State(t.Context()); st.Level != disk.OK || !errors.Is(st.Err, gone) {
		t.Errorf("%+v", st)
	}
	if free, total, err := disk.Usage(t.TempDir()); err != nil || free == 0 || free > total {
		t.Errorf("%d of %d, %v", free, total, err)
	}
}

func TestGradualWritesEverything(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	g := &disk.Gradual{File: f}
	want := bytes.Repeat([]byte("0123456789"), 1<<20)
	for part := range slices.Chunk(want, 1_000_003) {
		if n, err := g.Write(part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write(want); err == nil {
		t.Error("no error of a closed file")
	}
}
