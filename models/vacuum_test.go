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
		full, err := s.Compact(ctx)
		if err != nil || full.Before <= 0 || full.After <= 0 {
			t.Fatalf("%+v, %v", full, err)
		}
		if err := s.DeleteThread(ctx, "big"); err != nil {
			t.Fatal(err)
		}
		empty, err := s.Compact(ctx)
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
