package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/backup"
)

// commandVariable makes the test program run a backup or a restore instead of the tests: COMMAND, the database's URL, the uploads folder
// and the archive, in lines.
const commandVariable = "SOHBET_TEST_COMMAND"

func TestMain(m *testing.M) {
	if command := os.Getenv(commandVariable); command != "" {
		if err := runCommand(command); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func runCommand(command string) error {
	ctx := context.Background()
	args := strings.Split(command, "\n")
	store, err := models.Open(ctx, models.Options{URL: args[1], Keys: []string{storetest.Key}})
	if err != nil {
		return err
	}
	fmt.Println("open")
	if args[0] == "backup" {
		_, err = backup.Write(ctx, args[3], store, args[2])
	} else {
		_, err = backup.Restore(ctx, args[3], store, args[2], backup.Options{Force: true})
	}
	return errors.Join(err, store.Close())
}

// kill runs a command in a process of its own and kills it some time after it has opened the database. It reports whether the command
// was still running then.
func kill(t *testing.T, after time.Duration, args ...string) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), commandVariable+"="+strings.Join(args, "\n"))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	time.Sleep(after)
	_ = c.Process.Kill() // it may have ended
	err = c.Wait()
	if err != nil && stderr.Len() > 0 {
		t.Fatalf("%v: %s", err, &stderr)
	}
	return err != nil
}

// killAtAnyMoment calls try with delays spread over the time that a command takes.
func killAtAnyMoment(t *testing.T, try func(after time.Duration) (killed bool)) {
	t.Helper()
	const kills = 8
	whole := time.Millisecond
	for ; try(whole); whole *= 2 { // until it is not killed any more
	}
	killed := 0
	for i := range kills {
		if try(whole * time.Duration(i) / kills) {
			killed++
		}
	}
	if killed == 0 {
		t.Error("it was never killed, so this proves nothing")
	}
}

func sweep(t *testing.T, p place, folders ...string) string {
	t.Helper()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	if err := backup.Sweep(t.Context(), p.uploads, p.Store, logger); err != nil {
		t.Error(err)
	}
	for _, dir := range append(folders, filepath.Dir(p.uploads)) {
		if left, err := filepath.Glob(dir + "/.sohbet*"); err != nil || len(left) > 0 {
			t.Errorf("left after the sweep: %v, %v", left, err)
		}
	}
	return log.String()
}

func TestKilledRestore(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		from, o := newPlace(t, dialect), storetest.Options(t, dialect)
		for i := range 50 {
			say(t, from.Store, "thread", fmt.Sprint(i))
			from.upload(t, fmt.Sprintf("images/new%d.png", i), "picture")
		}
		archive := filepath.Join(t.TempDir(), "b.sohbet")
		if _, err := backup.Write(t.Context(), archive, from.Store, from.uploads); err != nil {
			t.Fatal(err)
		}
		want := texts(t, from.Store, "thread")
		o.CacheTTL = 0
		to := place{storetest.Reopen(t, o), filepath.Join(t.TempDir(), "uploads")}
		killAtAnyMoment(t, func(after time.Duration) bool {
			if err := errors.Join(os.RemoveAll(to.uploads), to.DeleteThread(t.Context(), "thread")); err != nil && !errors.Is(err, models.ErrNotFound) {
				t.Fatal(err)
			}
			say(t, to.Store, "old", "kept")
			before := texts(t, to.Store, "old")
			to.upload(t, "images/old.png", "mine")
			killed := kill(t, after, "restore", o.URL, to.uploads, archive)
			log := sweep(t, to)
			files := to.files(t)
			switch old, got := texts(t, to.Store, "old"), texts(t, to.Store, "thread"); {
			case old == before && got == "" && files == "images/old.png=mine":
				if !killed || strings.Contains(log, "it is complete") {
					t.Errorf("the old state, killed: %v, the log: %s", killed, log)
				}
				if strings.Contains(log, "command=restore") != strings.Contains(log, "run it again") {
					t.Errorf("the log of an undone restore: %s", log)
				}
			case old == "" && got == want && strings.Count(files, "=picture") == 50:
				if strings.Contains(log, "run it again") {
					t.Errorf("the new state, killed: %v, the log: %s", killed, log)
				}
			default:
				t.Errorf("killed after %s: %q, %d bytes of new texts, files %.100s, the log: %s", after, old, len(got), files, log)
			}
			return killed
		})
	})
}

func TestKilledBackup(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		o := storetest.Options(t, dialect)
		from, to := place{storetest.Reopen(t, o), filepath.Join(t.TempDir(), "uploads")}, newPlace(t, dialect)
		for i := range 50 {
			say(t, from.Store, "thread", fmt.Sprint(i))
			from.upload(t, fmt.Sprintf("images/new%d.png", i), "picture")
		}
		dir := t.TempDir()
		archive := filepath.Join(dir, "b.sohbet")
		killAtAnyMoment(t, func(after time.Duration) bool {
			if err := os.WriteFile(archive, []byte("the one of yesterday"), 0o600); err != nil {
				t.Fatal(err)
			}
			killed := kill(t, after, "backup", o.URL, from.uploads, archive)
			log := sweep(t, from, dir)
			content, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			if string(content) == "the one of yesterday" {
				if !killed {
					t.Error("it did nothing")
				}
			} else if _, err := backup.Restore(t.Context(), archive, to.Store, to.uploads, backup.Options{Force: true}); err != nil {
				t.Errorf("killed after %s, it left %v: %s", after, err, log)
			}
			return killed
		})
	})
}

// What a running command uses is spared, also by a server that starts meanwhile.
func TestSweepSparesRunningCommands(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		p := newPlace(t, dialect)
		for i := range 50 {
			say(t, p.Store, "thread", fmt.Sprint(i))
			p.upload(t, fmt.Sprintf("images/new%d.png", i), strings.Repeat("picture", 1000))
		}
		archive := filepath.Join(t.TempDir(), "b.sohbet")
		done := make(chan error)
		go func() {
			_, err := backup.Write(t.Context(), archive, p.Store, p.uploads)
			done <- err
		}()
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		for running := true; running; {
			select {
			case err := <-done:
				if running = false; err != nil {
					t.Error(err)
				}
			default:
				if err := errors.Join(backup.Sweep(t.Context(), p.uploads, p.Store, logger), backup.SweepFolder(filepath.Dir(archive), logger)); err != nil {
					t.Error(err)
				}
			}
		}
		if log.Len() > 0 {
			t.Errorf("swept: %s", &log)
		}
	})
}

// Versions without locks left folders that only their age tells from those of running commands.
func TestSweepOfAnOlderVersionsFolders(t *testing.T) {
	p := newPlace(t, "sqlite")
	data := filepath.Dir(p.uploads)
	long := time.Now().Add(-2 * time.Hour)
	for name, at := range map[string]time.Time{".sohbet-restore-1": long, ".sohbet-backup-2": long, ".sohbet-work-3": long, ".sohbet-restore-4": time.Now(), "mine": long} {
		dir := filepath.Join(data, name, "database")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "chat.db")
		if err := os.WriteFile(file, []byte("a copy"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, dir, filepath.Dir(dir)} {
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	var log bytes.Buffer
	if err := backup.Sweep(t.Context(), p.uploads, p.Store, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(data)
	var names []string
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	if err != nil || strings.Join(names, " ") != ".sohbet-restore-4 mine" {
		t.Errorf("left: %v, %v", names, err)
	}
	if n := strings.Count(log.String(), "removed what a killed command left"); n != 3 || !strings.Contains(log.String(), "bytes=6") {
		t.Errorf("the log: %s", &log)
	}
}
