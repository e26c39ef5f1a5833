package names_test

import (
	"testing"

	"sohbet/models/names"
)

func TestVisibleNames(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, " \u00a0\u3000": false, "\u200b": false, "\u2800": false, "\u200d\ufeff": false, "\u0301\u0302": false, "\u3164": false,
		"\u115f\u1160\uffa0": false, "\u00ad\u034f\u061c": false, "\ufe0f\U000e0100\U000e0041": false, "\u2060\u2064\u206f": false, "\x01\x7f": false,
		"\U0001d159\U0001d173": false, "\u180e": false, "\u202e": false,
		"Ayşe": true, "\u200bA": true, "e\u0301": true, "👨‍👩‍👧‍👦": true, "李": true, ".": true, "\u200f\u05d0": true,
	} {
		if got := names.Visible(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	for _, c := range [][3]string{{"Ayşe", "en", "Ayşe"}, {"\u200b", "en-GB", "Visitor"}, {"\u200b", "tr", "Ziyaretçi"}, {"", "", "Ziyaretçi"}} {
		if got := names.OfVisitor(c[0], c[1]); got != c[2] {
			t.Errorf("%q in %q: %q", c[0], c[1], got)
		}
	}
}
