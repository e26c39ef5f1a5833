package lock

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "chat.db.lock"), filepath.Join(dir, "sohbet.lock")
	first, err := Take(one, two)
	if err != nil {
		t.Fatal(err)
	}
	first.Note("http://localhost:8080")
	free := filepath.Join(dir, "free.lock")
	_, err = Take(free, two)
	var held *HeldError
	if !errors.As(err, &held) || held.Process != os.Getpid() || held.Address != "http://localhost:8080" {
		t.Fatalf("a second one: %v", err)
	}
	if text := held.Error(); !strings.Contains(text, "http://localhost:8080") || !strings.Contains(text, filepath.Join(dir, "sohbet")) {
		t.Errorf("it says %q", text)
	}
	if other, err := Take(free); err != nil {
		t.Errorf("what was taken before the refusal stays taken: %v", err)
	} else if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("a second time: %v", err)
	}
	next, err := Take(one, two)
	if err != nil {
		t.Fatalf("after the first one's end: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Take(filepath.Join(dir, "no", "such", "folder.lock")); err == nil || errors.Is(err, ErrUnsupported) {
		t.Errorf("where there is no folder: %v", err)
	}
}
