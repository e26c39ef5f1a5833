package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sohbet/bench/process"
)

// TestSecondProcessIsRefused starts another server on the files of a running one: with the same settings, with the same database from
// another folder, and with the same uploads.
func TestSecondProcessIsRefused(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	first := process.Start(t, dir)
	begin := []string{"PATH=" + os.Getenv("PATH"), "HOST=127.0.0.1", "PORT=0", "LOG_FORMAT=json"}
	for name, env := range map[string][]string{
		"the same":             {"DATA_DIR=" + dir},
		"the same database":    {"DATA_DIR=" + other, "DATABASE_URL=sqlite://" + filepath.Join(dir, "chat.db")},
		"the same data folder": {"DATA_DIR=" + dir, "DATABASE_URL=sqlite://" + filepath.Join(other, "else.db")},
	} {
		code, said := process.Refused(t, other, append(begin, env...)...)
		if code != 1 || !strings.Contains(said, fmt.Sprintf("process %d on ", first.ID())) || !strings.Contains(said, "at http://"+first.Addr+": stop it first") {
			t.Errorf("%s: code %d, %s", name, code, said)
		}
	}
	if code, said := process.Refused(t, other, append(begin, "LANG=tr_TR.UTF-8", "DATA_DIR="+dir)...); code != 1 || !strings.Contains(said, "önce onu durdurun") {
		t.Errorf("in Turkish: code %d, %s", code, said)
	}
	// Commands can be used while a server runs, except restore, which replaces its database.
	t.Chdir(t.TempDir())
	t.Setenv("DATA_DIR", dir)
	file := filepath.Join(t.TempDir(), "b.sohbet")
	for _, args := range [][]string{{"backup", file}, {"doctor"}, {"prune"}} {
		if out, err := command(t, args...); err != nil {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}
	if _, err := command(t, "restore", "--force", file); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", first.ID())) {
		t.Errorf("restore while the server runs: %v", err)
	}
	first.Kill()
	process.Start(t, dir).Stop() // a crash leaves no lock behind
	process.Start(t, dir)
}
