package models_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func is(want string) func([]byte) bool {
	return func(hash []byte) bool { return bytes.Equal(hash, []byte(want)) }
}

func TestCodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := time.Now()
		save := func(hash, binding string, expires time.Time) {
			t.Helper()
			if id, err := s.SaveCode(t.Context(), []byte(hash), binding, expires); err != nil || id == 0 {
				t.Fatalf("save: id %d, %v", id, err)
			}
		}
		try := func(binding string, at time.Time, guess string, ok bool, left int) {
			t.Helper()
			gotOK, gotLeft, err := s.TryCode(t.Context(), binding, at, 3, is(guess))
			if err != nil || gotOK != ok || gotLeft != left {
				t.Fatalf("%s with %s: %v, %d left, %v; want %v, %d left", binding, guess, gotOK, gotLeft, err, ok, left)
			}
		}
		save("right", "a", now.Add(time.Minute))
		save("other", "b", now.Add(time.Minute))
		try("a", now, "wrong", false, 2)
		try("b", now, "right", false, 2) // a code does not match another binding
		try("a", now, "right", true, 1)
		try("a", now, "right", false, 0) // a code works only once
		try("none", now, "right", false, 0)

		save("first", "a", now.Add(time.Minute))
		save("second", "a", now.Add(time.Minute))
		try("a", now, "first", false, 2) // replaced
		try("a", now, "x", false, 1)
		try("a", now, "y", false, 0)
		try("a", now, "second", false, 0) // tried too often

		save("old", "a", now.Add(time.Minute))
		try("a", now.Add(61*time.Second), "old", false, 0)

		if n, err := s.PurgeCodes(t.Context(), now.Add(2*time.Minute)); err != nil || n != 2 {
			t.Fatalf("purged %d, %v", n, err)
		}
	})
}

func TestCodeIsUsedOnceHoweverManyTry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		now := time.Now()
		if _, err := s.SaveCode(t.Context(), []byte("right"), "a", now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		var compared, accepted atomic.Int64
		inParallel(t, 20, func(int) error {
			ok, _, err := s.TryCode(t.Context(), "a", now, 5, func(hash []byte) bool {
				compared.Add(1)
				return string(hash) == "right"
			})
			if ok {
				accepted.Add(1)
			}
			return err
		})
		if accepted.Load() != 1 || compared.Load() > 5 {
			t.Fatalf("accepted %d times after comparing %d", accepted.Load(), compared.Load())
		}
	})
}
