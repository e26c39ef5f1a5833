package models_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestChangeSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ctx := t.Context()
		var told []map[string]string
		s.OnSettings(func(values map[string]string) { told = append(told, values) })
		change := func(changes map[string]string) {
			t.Helper()
			if err := s.ChangeSettings(ctx, 0, changes); err != nil {
				t.Fatal(err)
			}
		}
		change(map[string]string{"BRAND_NAME": "Tea House", "IDENTITY_SECRET": "a secret"})
		change(map[string]string{"BRAND_NAME": "Coffee"})
		change(map[string]string{"BRAND_NAME": "Coffee"})
		change(map[string]string{"IDENTITY_SECRET": ""})
		want := map[string]string{"BRAND_NAME": "Coffee"}
		if !maps.Equal(s.Settings(), want) {
			t.Errorf("%v", s.Settings())
		}
		if len(told) != 4 || len(told[0]) != 0 || len(told[1]) != 2 || told[2]["BRAND_NAME"] != "Coffee" || !maps.Equal(told[3], want) {
			t.Errorf("told %v", told)
		}
		var stored string
		if err := storetest.Raw(t, s).QueryRow("SELECT value FROM settings WHERE name = 'BRAND_NAME'").Scan(&stored); err != nil || stored == "" || strings.Contains(stored, "Coffee") {
			t.Errorf("stored as %q, %v", stored, err)
		}
		var invalid *models.InvalidError
		for _, value := range []string{strings.Repeat("x", models.MaxSetting+1), "a\x00b", "a\xffb"} {
			if err := s.ChangeSettings(ctx, 0, map[string]string{"AGENT_NAME": value}); !errors.As(err, &invalid) {
				t.Errorf("%.10q: %v", value, err)
			}
		}
		if _, err := storetest.Rekey(t, s); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := s.Dump(ctx, dir, func(string) {}); err != nil {
			t.Fatal(err)
		}
		change(map[string]string{"BRAND_NAME": "", "AGENT_NAME": "x"})
		if err := s.Load(ctx, dir, models.LoadOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(s.Settings(), want) || !maps.Equal(told[len(told)-1], want) {
			t.Errorf("loaded: %v, told %v", s.Settings(), told[len(told)-1])
		}
	})
}

func TestSettingsOfAnotherProcess(t *testing.T) {
	o := storetest.Options(t, "postgres")
	s, other := storetest.Reopen(t, o), storetest.Reopen(t, o)
	told := make(chan map[string]string, 10)
	other.OnSettings(func(values map[string]string) { told <- values })
	<-told
	if err := s.ChangeSettings(t.Context(), 0, map[string]string{"BRAND_NAME": "Tea House"}); err != nil {
		t.Fatal(err)
	}
	if values := <-told; values["BRAND_NAME"] != "Tea House" { // the poller finds it
		t.Errorf("%v", values)
	}
}
