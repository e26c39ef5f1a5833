//go:build unix

package database_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

const otherUser = 65534 // the test switches to this user when it runs as root, which has all permissions

func TestMissingRightsAreNamed(t *testing.T) {
	root := os.Geteuid() == 0
	for name, tc := range map[string]struct {
		file   string // not writable by this program; "" = the folder
		exists bool   // whether the database exists
	}{
		"folder": {"", false}, "folder of a database": {"", true}, "database": {"chat.db", true}, "log": {"chat.db-wal", true}, "index": {"chat.db-shm", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "sohbet-rights-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700); _ = os.RemoveAll(dir) })
			path := filepath.Join(dir, "chat.db")
			o := models.Options{URL: "sqlite://" + path, Keys: []string{storetest.Key}}
			if tc.exists {
				s, err := models.Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			denied := filepath.Join(dir, tc.file)
			if tc.file != "" && !exists(denied) {
				if err := os.WriteFile(denied, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if root {
				for _, f := range []string{dir, path, path + "-wal", path + "-shm"} {
					if f != denied && exists(f) {
						if err := os.Chown(f, otherUser, otherUser); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := syscall.Setreuid(-1, otherUser); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := syscall.Setreuid(-1, 0); err != nil {
						t.Fatal(err)
					}
				}()
			} else if err := os.Chmod(denied, map[bool]os.FileMode{true: 0o500, false: 0}[tc.file == ""]); err != nil {
				t.Fatal(err)
			}
			s, err := models.Open(t.Context(), o)
			if err == nil {
				_ = s.Close()
				t.Fatal("it opens")
			}
			if text := err.Error(); !strings.Contains(text, "no permission to read and write "+filepath.Clean(denied)+": permission denied; it belongs to user ") || strings.Contains(text, "PostgreSQL") {
				t.Errorf("it says: %s", text)
			}
		})
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }
