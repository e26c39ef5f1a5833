package names_test

import (
	"strings"
	"testing"

	"sohbet/models/names"
)

func TestFoldMeetsInAllCases(t *testing.T) {
	for _, same := range [][]string{
		{"İPEK", "ipek", "IPEK", "ıpek", "i\u0307pek"},
		{"ŞÜKRÜ ÇAĞLAR", "şükrü çağlar", "Şükrü Çağlar"},
		{"ÉLODIE", "élodie"},
	} {
		for _, s := range same {
			if got := names.Fold(s); got != names.Fold(same[0]) {
				t.Errorf("%q folds to %q, %q to %q", same[0], names.Fold(same[0]), s, got)
			}
		}
	}
	if names.Fold("Ali") == names.Fold("Ayşe") {
		t.Error("everything folds alike")
	}
}

func TestNamesFoldWithoutAccents(t *testing.T) {
	for name, want := range map[string]string{
		"Ayşe Yılmaz": "ayse yilmaz", "ÇAĞLAR Gökçe": "caglar gokce", "İpek IŞIK": "ipek isik", "Søren Łukasz": "soren lukasz", "Đorđe": "dorde",
		"Groß": "gross", "Ægir Œuvre": "aegir oeuvre", "Éloïse": "eloise", "E\u0301loi\u0308se": "eloise", "Nguyễn Thị": "nguyen thi", "Ωμέγα": "ωμεγα",
		"Ａｙşｅ": "ayse", "नीलम": "नीलम", "李小龍": "李小龍",
	} {
		if got := names.FoldAccents(name); got != want {
			t.Errorf("%q folds to %q, want %q", name, got, want)
		}
	}
	if key := names.SearchKey("Ali", "+90 (555) 1"); !strings.HasSuffix(key, "\n905551") {
		t.Errorf("the key is %q", key)
	}
}
