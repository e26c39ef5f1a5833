package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/backup"
)

func say(t *testing.T, s *models.Store, thread, text string) models.Message {
	t.Helper()
	r, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: thread, ContentText: text, SenderType: models.Visitor,
		OpenThread: &models.NewThread{DisplayName: "Ada " + thread, PhoneNumber: "0555"}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Message
}

func texts(t *testing.T, s *models.Store, thread string) string {
	t.Helper()
	list, _, err := s.Messages(t.Context(), thread, models.MessageQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range list {
		out = append(out, m.ContentText)
	}
	return strings.Join(out, " ")
}

// place is a store with an uploads folder.
type place struct {
	*models.Store
	uploads string
}

func newPlace(t *testing.T, dialect string) place {
	t.Helper()
	return place{storetest.Open(t, dialect), filepath.Join(t.TempDir(), "data", "uploads")}
}

func (p place) upload(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(p.uploads, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files returns the content of the uploads folder as text, and fails if temporary files were left next to it.
func (p place) files(t *testing.T) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(p.uploads, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && entry.IsDir() {
			return nil
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(p.uploads, path)
		out = append(out, filepath.ToSlash(name)+"="+string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Dir(p.uploads) + "/.sohbet*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return strings.Join(out, " ")
}

func each(t *testing.T, body func(t *testing.T, dialect string)) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) { body(t, dialect) })
	}
}

func TestRoundTripWhileServing(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		from, to := newPlace(t, dialect), newPlace(t, dialect)
		for i := range 30 {
			say(t, from.Store, fmt.Sprint(i%3), fmt.Sprintf("m%d\t\\ü\n", i))
		}
		want := texts(t, from.Store, "1")
		if _, _, err := from.MarkRead(t.Context(), "1", models.Admin, 1<<40); err != nil {
			t.Fatal(err)
		}
		gone := say(t, from.Store, "cleared", "x")
		if err := from.DeleteThread(t.Context(), "cleared"); err != nil {
			t.Fatal(err)
		}
		from.upload(t, "image/a.png", "picture")
		from.upload(t, "audio/b.webm", "sound")

		var stop atomic.Bool
		wrote := make(chan int)
		go func() {
			n := 0
			for ; !stop.Load(); n++ {
				_, err := from.AppendWait(t.Context(), models.NewMessage{ThreadID: fmt.Sprint("busy", n%5), SenderType: models.Visitor, OpenThread: &models.NewThread{}})
				if err != nil {
					t.Error(err)
					break
				}
			}
			wrote <- n
		}()
		file := filepath.Join(t.TempDir(), "b.sohbet")
		r, err := backup.Write(t.Context(), file, from.Store, from.uploads)
		stop.Store(true)
		if n := <-wrote; n == 0 {
			t.Error("nothing was written meanwhile, so this proves little")
		}
		if err != nil || r.Files != 2 || r.Bytes == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() != r.Bytes {
			t.Errorf("%v, %v", info, err)
		}
		if left, _ := filepath.Glob(filepath.Dir(file) + "/.*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}

		if _, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := texts(t, to.Store, "1"); got != want {
			t.Errorf("messages:\n%s\nwant:\n%s", got, want)
		}
		if got := to.files(t); got != "audio/b.webm=sound image/a.png=picture" {
			t.Errorf("files: %s", got)
		}
		threads, err := to.Threads(t.Context(), models.ThreadQuery{Limit: 1000})
		if err != nil || len(threads) < 3 {
			t.Fatalf("%d threads, %v", len(threads), err)
		}
		for _, th := range threads { // counts and rows are from the same snapshot
			list, _, err := to.Messages(t.Context(), th.ID, models.MessageQuery{Limit: 1000})
			if err != nil || int64(len(list)) != min(th.MessageCount, 1000) || list[len(list)-1].ID != th.LastMessageID {
				t.Errorf("thread %s: counted %d, stored %d, %v", th.ID, th.MessageCount, len(list), err)
			}
		}
		if th, err := to.Thread(t.Context(), "1"); err != nil || th.DisplayName != "Ada 1" || th.UnreadCount != 0 || th.AgentReadID == 0 {
			t.Errorf("%+v, %v", th, err)
		}
		if next := say(t, to.Store, "new", "x"); next.ID <= gone.ID {
			t.Errorf("id %d after %d", next.ID, gone.ID)
		}
	})
}

func TestRestoreSparesWhatIsThere(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		from, to := newPlace(t, dialect), newPlace(t, dialect)
		say(t, from.Store, "a", "from the backup")
		from.upload(t, "image/a.png", "picture")
		from.upload(t, "image/both.png", "theirs")
		file := filepath.Join(t.TempDir(), "b.sohbet")
		if _, err := backup.Write(t.Context(), file, from.Store, from.uploads); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}

		to.upload(t, "image/mine.png", "mine")
		if _, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{}); !errors.Is(err, backup.ErrNotEmpty) {
			t.Errorf("into a folder with files: %v", err)
		}
		last := say(t, to.Store, "b", "mine")
		to.upload(t, "image/both.png", "ours")
		untouched := func(what string, err error) {
			t.Helper()
			if err == nil {
				t.Errorf("%s was restored", what)
			}
			if got := texts(t, to.Store, "b"); got != "mine" {
				t.Errorf("%s: messages: %q", what, got)
			}
			if got := to.files(t); got != "image/both.png=ours image/mine.png=mine" {
				t.Errorf("%s: files: %s", what, got)
			}
		}
		_, err = backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{})
		untouched("without --force", err)

		broken := filepath.Join(t.TempDir(), "broken")
		try := func(what string, content []byte) {
			t.Helper()
			if err := os.WriteFile(broken, content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := backup.Restore(t.Context(), broken, to.Store, to.uploads, backup.Options{Force: true})
			untouched(what, err)
		}
		for _, part := range []int{0, 1, 2, 5, 9} {
			try(fmt.Sprintf("%d tenths of the archive", part), whole[:len(whole)*part/10])
		}
		try("an archive without its end", whole[:len(whole)-1])
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 0x10
		try("an archive with a wrong bit", flipped)
		try("another kind of file", []byte("PK\x03\x04 not ours"))
		other := map[string]string{"sqlite": "postgres", "postgres": "sqlite"}[dialect]
		try("the other database", rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
			return bytes.ReplaceAll(content, []byte(`"database":"`+dialect), []byte(`"database":"`+other))
		}))
		try("a newer format", rewrite(t, whole, func(_ *tar.Header, content []byte) []byte {
			return bytes.ReplaceAll(content, []byte(`"sohbet_backup":1`), []byte(`"sohbet_backup":2`))
		}))
		for _, name := range []string{"../escaped", "uploads/../../escaped", "/etc/escaped", "elsewhere/x"} {
			try(name, rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
				if strings.HasSuffix(h.Name, "a.png") {
					h.Name = name
				}
				return content
			}))
		}
		try("a link", rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
			if strings.HasSuffix(h.Name, "a.png") {
				h.Typeflag, h.Linkname = tar.TypeSymlink, "/etc/passwd"
				return nil
			}
			return content
		}))
		// The database fails after the files were already added.
		try("a spoilt table", rewrite(t, whole, func(h *tar.Header, content []byte) []byte {
			switch h.Name {
			case "database/chat.db":
				copy(content[len(content)/2:], bytes.Repeat([]byte{0xa5}, len(content)/3))
			case "database/messages":
				return append(content, "nonsense\n"...)
			}
			return content
		}))

		if _, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{Force: true}); err != nil {
			t.Fatal(err)
		}
		if a, b := texts(t, to.Store, "a"), texts(t, to.Store, "b"); a != "from the backup" || b != "" {
			t.Errorf("messages: %q and %q", a, b)
		}
		if got := to.files(t); got != "image/a.png=picture image/both.png=ours image/mine.png=mine" {
			t.Errorf("files: %s", got)
		}
		if next := say(t, to.Store, "a", "x"); next.ID <= last.ID {
			t.Errorf("id %d after %d", next.ID, last.ID)
		}
	})
}

// rewrite returns a modified archive with a valid checksum.
func rewrite(t *testing.T, whole []byte, change func(h *tar.Header, content []byte) []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	from, to := tar.NewReader(zip), tar.NewWriter(zipped)
	for {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		content = change(h, content)
		h.Size = int64(len(content))
		if err := to.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(to.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFailedBackupLeavesTheOldOne(t *testing.T) {
	p := newPlace(t, "sqlite")
	file := filepath.Join(t.TempDir(), "b.sohbet")
	if err := os.WriteFile(file, []byte("the one of yesterday"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Write(t.Context(), file, p.Store, p.uploads); err == nil {
		t.Error("a closed store was backed up")
	}
	content, err := os.ReadFile(file)
	entries, _ := os.ReadDir(filepath.Dir(file))
	if err != nil || string(content) != "the one of yesterday" || len(entries) != 1 {
		t.Errorf("%q, %d files, %v", content, len(entries), err)
	}
}

// A backup holds every file that its messages refer to, even if conversations are deleted with their files while it runs.
func TestFilesDeletedMeanwhileAreIncluded(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		const count = 200
		from, to := newPlace(t, dialect), newPlace(t, dialect)
		name := func(i int) string { return fmt.Sprintf("images/picture%04d.png", i) }
		for i := range count {
			from.upload(t, name(i), strings.Repeat("picture", 2000))
			_, err := from.AddUpload(t.Context(), models.Upload{URL: "/uploads/" + name(i), Kind: "image", Type: "image/png", Place: "local", Path: name(i)})
			if err != nil {
				t.Fatal(err)
			}
			m := models.NewMessage{ThreadID: fmt.Sprint(i), FileURL: "/uploads/" + name(i), ContentType: "image", SenderType: models.Visitor, OpenThread: &models.NewThread{}}
			if _, err := from.AppendWait(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(t.TempDir(), "b.sohbet")
		// The files vanish once the snapshot of the database is complete.
		deleted := backup.AfterSnapshot(func() {
			for i := range count / 2 {
				if err := os.Remove(filepath.Join(from.uploads, name(2*i))); err != nil {
					t.Error(err)
				}
			}
		})
		r, err := backup.Write(t.Context(), file, from.Store, from.uploads)
		deleted()
		if err != nil || r.Files != count || r.Missing != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(to.files(t), "=picture"); n != count {
			t.Errorf("%d of %d files", n, count)
		}
		// What was missing before is told.
		if r, err := backup.Write(t.Context(), file, from.Store, from.uploads); err != nil || r.Files != count/2 || r.Missing != count/2 {
			t.Errorf("without them: %+v, %v", r, err)
		}
	})
}

// A file whose message was deleted before the snapshot is not in the backup.
func TestDeletedFilesAreLeftOut(t *testing.T) {
	p := newPlace(t, "sqlite")
	say(t, p.Store, "a", "x")
	p.upload(t, "images/gone.png", "picture")
	file := filepath.Join(t.TempDir(), "b.sohbet")
	deleted := backup.AfterSnapshot(func() {
		if err := os.Remove(filepath.Join(p.uploads, "images/gone.png")); err != nil {
			t.Error(err)
		}
	})
	r, err := backup.Write(t.Context(), file, p.Store, p.uploads)
	deleted()
	if err != nil || r.Files != 0 || r.Missing != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
