package models_test

import (
	"slices"
	"strings"
	"testing"

	"sohbet/models"
)

func TestFoldMeetsInAllCases(t *testing.T) {
	for _, same := range [][]string{
		{"İPEK", "ipek", "IPEK", "ıpek", "i\u0307pek"},
		{"ŞÜKRÜ ÇAĞLAR", "şükrü çağlar", "Şükrü Çağlar"},
		{"ÉLODIE", "élodie"},
	} {
		for _, s := range same {
			if got := models.CheckFold(s); got != models.CheckFold(same[0]) {
				t.Errorf("%q folds to %q, %q to %q", same[0], models.CheckFold(same[0]), s, got)
			}
		}
	}
	if models.CheckFold("Ali") == models.CheckFold("Ayşe") {
		t.Error("everything folds alike")
	}
}

func TestSearchPatterns(t *testing.T) {
	for query, want := range map[string][]string{
		"":            nil,
		"  \n ":       nil,
		"100%_\\":     {`%100\%\_\\%`},
		"12":          {"%12%"},
		"1234":        {"%1234%"},
		"+90 555-1":   {"%+90 555-1%", "%905551%"},
		"Ali\nVeli":   {"%ali veli%"},
		"Flat 12 345": {"%flat 12 345%"},
	} {
		if got := models.CheckPatterns(query); !slices.Equal(got, want) {
			t.Errorf("%q gives %q, want %q", query, got, want)
		}
	}
	if key := models.CheckKey("Ali", "+90 (555) 1"); !strings.HasSuffix(key, "\n905551") {
		t.Errorf("the key is %q", key)
	}
}
