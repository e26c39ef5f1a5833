package broker

import (
	"fmt"
	"slices"
	"testing"
)

func TestViewTakesOnlyWhatIsNewer(t *testing.T) {
	var v view
	apply := func(visitor string, s state) outcome {
		o, _ := v.apply(visitor, s, nil)
		return o
	}
	for i, c := range []struct {
		s    state
		want outcome
	}{{5, newer}, {5, stale}, {-4, stale}, {-7, newer}, {6, stale}, {7, stale}, {8, newer}, {9, newer}} {
		if got := apply("a", c.s); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
	if got := v.change("a", false); got <= 9 || v.get("a").online() || v.highest() != got {
		t.Errorf("a change of its own has version %d", got)
	}
	if list := v.visitors(); len(list) != 0 {
		t.Errorf("online: %q", list)
	}
	apply("b", state(v.next()))
	if list := v.visitors(); !slices.Equal(list, []string{"b"}) {
		t.Errorf("online: %q", list)
	}
}

// TestViewForgets checks that visitors who left do not take memory for ever, and that what is forgotten is not taken for new.
func TestViewForgets(t *testing.T) {
	var v view
	old := v.next()
	v.apply("here", state(v.next()), nil)
	for i := range 100_000 {
		v.change(fmt.Sprint(i), false)
	}
	if n := len(v.states); n > 10_000 || !v.get("here").online() {
		t.Errorf("%d visitors in memory", n)
	}
	if o, _ := v.apply("0", state(old), nil); o != unknown || v.get("0") != 0 {
		t.Errorf("an old change of a forgotten visitor: %v", o)
	}
	if o, _ := v.apply("0", state(v.next()), nil); o != newer {
		t.Errorf("a new change of a forgotten visitor: %v", o)
	}
}

func TestMemoryAnnouncesTheStateAtItsTurn(t *testing.T) {
	var m Memory
	var told []int64
	here := true
	change := func() {
		m.VisitorChanged("a", func() bool { return here }, func(online bool, version int64, _ bool) { told = append(told, int64(stateOf(online, version))) })
	}
	change()
	change() // a departure that is overtaken by an arrival
	here = false
	change()
	if len(told) != 2 || told[0] <= 0 || -told[1] <= told[0] {
		t.Errorf("announced %v", told)
	}
	if online, versions := m.Online(t.Context(), []string{"a"}); online[0] || versions[0] != -told[1] {
		t.Errorf("online %v as of %v", online, versions)
	}
}
