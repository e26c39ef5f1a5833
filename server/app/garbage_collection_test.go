package app

import "testing"

func TestGCPercent(t *testing.T) {
	for _, c := range []struct {
		current      int
		cycles, live uint64
		want         int
	}{
		{gcUsual, 1, 8 << 20, gcUsual},
		{gcUsual, 12, 8 << 20, 300},
		{300, 1, 8 << 20, 300},
		{300, 0, 8 << 20, gcUsual},
		{300, 5, 12 << 20, 200},
		{gcUsual, 5, 200 << 20, gcUsual},
		{gcUsual, 5, 0, 2400},
	} {
		if got := gcPercent(c.current, c.cycles, c.live); got != c.want {
			t.Errorf("from %d after %d collections of %d bytes: %d, want %d", c.current, c.cycles, c.live, got, c.want)
		}
	}
}
