package main

import "testing"

func TestEnginesOf(t *testing.T) {
	if engines, err := enginesOf([]string{"chrome >= 100", "ios_saf >= 15.4"}); err != nil || len(engines) != 2 || engines[1].Version != "15.4" {
		t.Errorf("%v, %v", engines, err)
	}
	for _, lines := range [][]string{nil, {"safari 15"}, {"opera >= 80"}, {"chrome >= 100", "last 2 versions"}} {
		if engines, err := enginesOf(lines); err == nil {
			t.Errorf("%q is taken for %v", lines, engines)
		}
	}
}
