package durability

import (
	"path/filepath"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// TestDiskFloor fills a small disk: messages of visitors are refused while there is still space for the database, and become accepted
// when there is space again.
func TestDiskFloor(t *testing.T) { withMounts(t, reachFloor) }

func reachFloor(t *testing.T) {
	d := mountDisk(t, 200) // MIN_FREE_DISK is then 20 MB
	p := start(t, d.dir, "")
	v := &visitor{window: 1}
	if err := v.enter(t, p.Addr); err != nil {
		t.Fatal(err)
	}
	say := func(text string) answer {
		t.Helper()
		a, err := v.ask("message", map[string]string{"thread_id": v.thread, "text": text, "client_id": text})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct {
		left    int64
		state   string
		refused bool
	}{{150 << 20, "ok", false}, {30 << 20, "warning", false}, {15 << 20, "error", true}} {
		d.leave(c.left)
		becomes(t, p, "disk", c.state)
		if a := say(c.state); a.OK == c.refused || c.refused && a.Error.Code != "db_save_failed" {
			t.Errorf("with %d MB: %+v", c.left>>20, a)
		}
	}
	d.empty()
	becomes(t, p, "disk", "ok")
	if a := say("again"); !a.OK {
		t.Errorf("with room again: %+v", a)
	}
}

// TestDeletingOnAFullDisk deletes 30 MB of messages with 15 MB of disk space left, which is less than MIN_FREE_DISK. The database file
// may grow only by what is in its write-ahead log.
func TestDeletingOnAFullDisk(t *testing.T) { withMounts(t, deleteWithoutRoom) }

func deleteWithoutRoom(t *testing.T) {
	d := mountDisk(t, 200)
	s := storetest.Reopen(t, models.Options{URL: "sqlite://" + filepath.Join(d.dir, "chat.db"), Keys: []string{storetest.Key}})
	fill := func(thread string, n int) {
		for i := range n {
			m := models.NewMessage{ThreadID: thread, SenderType: models.Visitor, ContentText: strings.Repeat("x", 10_000), OpenThread: &models.NewThread{}}
			if err := s.Append(t.Context(), m, nil); err != nil {
				t.Fatalf("%s, message %d: %v", thread, i, err)
			}
			if i%50 == 49 || i == n-1 { // a larger transaction needs more space in the write-ahead log than there is
				if err := s.Flush(t.Context()); err != nil {
					t.Fatalf("%s, after message %d: %v", thread, i, err)
				}
			}
		}
	}
	fill("a", 2500)
	fill("b", 10)
	d.leave(15 << 20)
	if err := s.DeleteThread(t.Context(), "a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if spare, err := s.Spare(t.Context()); err != nil || spare < 25<<20 {
		t.Errorf("%d bytes to be written to, %v", spare, err)
	}
	fill("c", 2000) // 26 MB, reusing the pages of the deleted messages
	if th, err := s.Thread(t.Context(), "c"); err != nil || th.MessageCount != 2000 {
		t.Errorf("%d messages stored in its place, %v", th.MessageCount, err)
	}
}
