package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// FuzzUnpack unpacks untrusted archives: whatever they contain, only regular files at allowed paths are created.
func FuzzUnpack(f *testing.F) {
	for _, names := range [][]string{
		{manifestName}, {manifestName, "database/chat.db"}, {manifestName, "uploads/images/a.png", "uploads/images/a.png"},
		{manifestName, "../x"}, {"database/chat.db"},
	} {
		var out bytes.Buffer
		zip := gzip.NewWriter(&out)
		w := tar.NewWriter(zip)
		for _, name := range names {
			content := []byte(`{"sohbet_backup":1,"database":"sqlite"}`)
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
				f.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		if err := zip.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes(), true)
		f.Add(out.Bytes()[:out.Len()/2], true)
	}
	f.Add([]byte("PK\x03\x04"), true)
	f.Add(bytes.Repeat([]byte("0"), 1024), false)
	f.Fuzz(func(t *testing.T, content []byte, zipped bool) {
		if !zipped { // so that mutations reach the tar inside
			var out bytes.Buffer
			zip := gzip.NewWriter(&out)
			if _, err := zip.Write(content); err != nil {
				t.Fatal(err)
			}
			if err := zip.Close(); err != nil {
				t.Fatal(err)
			}
			content = out.Bytes()
		}
		dir := t.TempDir()
		file, into := filepath.Join(dir, "archive"), filepath.Join(dir, "into")
		if err := os.Mkdir(into, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = unpack(t.Context(), file, into) // an error is fine; the created files are checked
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path == file {
				return err
			}
			inside, err := filepath.Rel(into, path)
			if err == nil && (!entry.Type().IsRegular() || !placed.MatchString(filepath.ToSlash(inside))) {
				t.Errorf("it made %s, %s", path, entry.Type())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
