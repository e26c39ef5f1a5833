package app

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/logging/loggingtest"
)

const wrongKey = "the key of another server of 32 chars"

// TestWrongKey follows an operator with a wrong key, who finds out that the right one is lost.
func TestWrongKey(t *testing.T) {
	dir, o := folder(t, testKey, "one", "two")
	archive := filepath.Join(t.TempDir(), "b.sohbet")
	if out, err := command(t, "backup", archive); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("SECRET_KEY", wrongKey)
	t.Setenv("HOST", "127.0.0.1")
	t.Setenv("PORT", "0")
	said := "SECRET_KEY is not the key of the SQLite database " + filepath.Join(dir, "chat.db")
	for _, args := range [][]string{nil, {"rekey"}} {
		if _, err := command(t, args...); err == nil || !strings.Contains(err.Error(), said) || !strings.Contains(err.Error(), "sohbet --force") {
			t.Errorf("%v: %v", args, err)
		}
	}
	if out, err := command(t, "doctor"); err == nil || !strings.Contains(out, "✗ Key                "+said) {
		t.Errorf("%s, %v", out, err)
	}
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	if out, err := command(t, "doctor"); err == nil || !strings.Contains(out, "✗ Anahtar            SECRET_KEY şunun anahtarı değil: SQLite veritabanı "+dir) {
		t.Errorf("%s, %v", out, err)
	}
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, args := range [][]string{{"backup", filepath.Join(t.TempDir(), "c.sohbet")}, {"prune"}, {"logout-all"}} { // need no key
		if out, err := command(t, args...); err != nil {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}

	t.Setenv("DATA_DIR", t.TempDir())
	if _, err := command(t, "restore", archive); err == nil || !strings.Contains(err.Error(), "SECRET_KEY is not the key of this backup") {
		t.Errorf("restore: %v", err)
	}
	if out, err := command(t, "restore", "--unreadable", archive); err != nil {
		t.Errorf("restore --unreadable: %s, %v", out, err)
	}
	if _, err := command(t); err == nil || !strings.Contains(err.Error(), "SECRET_KEY is not the key of the SQLite database") {
		t.Errorf("start after restore --unreadable: %v", err)
	}

	t.Setenv("DATA_DIR", dir)
	for range 2 {
		log := serveForced(t)
		if !strings.Contains(log, "started with --force although keys are missing: "+said) && !strings.Contains(log, "SECRET_KEY lacks a key of the SQLite database") {
			t.Errorf("the log of a forced start: %s", log)
		}
	}
	if out, err := command(t, "rekey", "--force"); err != nil || !strings.Contains(out, "3 that no key decrypts") {
		t.Errorf("rekey --force: %s, %v", out, err)
	}
	o.Keys = []string{wrongKey}
	if list, _, err := storetest.Reopen(t, o).Messages(t.Context(), threadA, models.MessageQuery{}); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

// serveForced runs the server with --force until it listens and returns its log.
func serveForced(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	var log loggingtest.Buffer
	done := make(chan int)
	go func() { done <- Main(ctx, Build{}, []string{"--force"}, &out, &log) }()
	for !strings.Contains(log.String(), "listening") {
		select {
		case code := <-done:
			t.Fatalf("it ended with %d: %s", code, log.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	<-done
	return log.String()
}

// TestLeftFilesAreSwept starts a server where a command was killed.
func TestLeftFilesAreSwept(t *testing.T) {
	dir, _ := folder(t, testKey, "one")
	left := filepath.Join(dir, ".sohbet-restore-123")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOST", "127.0.0.1")
	t.Setenv("PORT", "0")
	log := serveForced(t)
	if strings.Contains(log, "keys are missing") || !strings.Contains(log, "removed what a killed command left") {
		t.Errorf("the log: %s", log)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("it is still there")
	}
}
