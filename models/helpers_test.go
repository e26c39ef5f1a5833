package models_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sohbet/models"
)

// thread creates a thread with the id of a number.
func thread(t testing.TB, s *models.Store, n int) models.Thread {
	t.Helper()
	th, err := s.CreateThread(t.Context(), models.NewThread{ID: threadID(n), DisplayName: fmt.Sprintf("Visitor %d", n)})
	if err != nil {
		t.Fatalf("create a thread: %v", err)
	}
	return th
}

// say appends a visitor's message.
func say(t testing.TB, s *models.Store, threadID, text string) models.Appended {
	t.Helper()
	return post(t, s, models.NewMessage{ThreadID: threadID, ContentText: text, SenderType: models.Visitor})
}

func post(t testing.TB, s *models.Store, m models.NewMessage) models.Appended {
	t.Helper()
	res, err := s.AppendWait(t.Context(), m)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return res
}

func readThread(t testing.TB, s *models.Store, id string) models.Thread {
	t.Helper()
	th, err := s.Thread(t.Context(), id)
	if err != nil {
		t.Fatalf("read a thread: %v", err)
	}
	return th
}

func texts(list []models.Message) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = m.ContentText
	}
	return out
}

func threadID(n int) string { return fmt.Sprintf("thread-%04d", n) }

func repeat(s string, n int) string { return strings.Repeat(s, n) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// numbers begins a query that selects i from n, which are the numbers from 1 to max.
func numbers(max int) string {
	return fmt.Sprintf("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", max)
}

// inParallel runs n bodies concurrently and fails the test if one of them fails.
func inParallel(t testing.TB, n int, body func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = body(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
