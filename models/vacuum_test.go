package models_test

import (
	"fmt"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestCompact(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ctx := t.Context()
		if _, err := s.CreateThread(ctx, models.NewThread{ID: "big"}); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if err := s.Append(ctx, models.NewMessage{ThreadID: "big", ContentText: strings.Repeat(fmt.Sprint(i), 1000), SenderType: models.Visitor}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		full, err := s.Compact(ctx, false, func(int64, int64) {})
		if err != nil || full.Before <= 0 || full.After <= 0 {
			t.Fatalf("%+v, %v", full, err)
		}
		if err := s.DeleteThread(ctx, "big"); err != nil {
			t.Fatal(err)
		}
		empty, err := s.Compact(ctx, false, func(int64, int64) {})
		if err != nil {
			t.Fatal(err)
		}
		if s.Dialect() == "sqlite" && empty.After > full.After/2 { // PostgreSQL keeps free space inside its files for reuse
			t.Errorf("nothing was given back: %+v, then %+v", full, empty)
		}
		if _, err := s.CreateThread(ctx, models.NewThread{ID: "after"}); err != nil {
			t.Errorf("after compacting: %v", err)
		}
	})
}

// A file that an earlier version created is rewritten only on request; then it can be compacted in steps.
func TestCompactFileOfAnEarlierVersion(t *testing.T) {
	s := storetest.Open(t, "sqlite")
	db := storetest.Raw(t, s)
	for _, statement := range []string{"PRAGMA auto_vacuum = NONE", "VACUUM"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	steps := 0
	compact := func(whole bool) models.Compacted {
		t.Helper()
		fill(t, s, thread(t, s, 1).ID, 3000)
		if err := s.DeleteThread(t.Context(), threadID(1)); err != nil {
			t.Fatal(err)
		}
		steps = 0
		c, err := s.Compact(t.Context(), whole, func(done, total int64) {
			if steps++; done <= 0 || done > total {
				t.Errorf("%d of %d pages", done, total)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := compact(false); !c.Whole || steps > 0 || c.After != c.Before {
		t.Errorf("compacted in %d steps: %+v", steps, c)
	}
	if c := compact(true); c.Whole || steps > 0 || c.After > c.Before/2 {
		t.Errorf("rewritten in %d steps: %+v", steps, c)
	}
	if c := compact(false); c.Whole || steps == 0 || c.After > c.Before/2 {
		t.Errorf("compacted in %d steps: %+v", steps, c)
	}
	storetest.Intact(t, s)
}
