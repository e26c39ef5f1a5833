package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMedianAndPaths(t *testing.T) {
	if m := median([]float64{9, 1, 5}); m != 5 {
		t.Errorf("median of three: %v", m)
	}
	if m := median([]float64{4, 1, 9, 6}); m != 5 {
		t.Errorf("median of four: %v", m)
	}
	result := map[string]any{"a": map[string]any{"b": 2.0}, "c": 3.0}
	if v := value(result, "a.b+c+missing.x"); v != 5 {
		t.Errorf("value: %v", v)
	}
}

func TestRatio(t *testing.T) {
	if r := ratio([]float64{1, 2, 3}, []float64{2, 2, 12}); r != "1.00× (0.25–1.00)" {
		t.Error(r)
	}
	if r := ratio([]float64{0, 0}, []float64{0, 0}); r != "–" {
		t.Error(r)
	}
}

func TestFaultsAreOurs(t *testing.T) {
	sound, lossy := map[string]any{"lost": 0.0}, map[string]any{"lost": 3.0}
	tab := table{
		sides: []side{{name: "Sohbet"}, {name: "Sohbet, SQLite"}, {name: "Node"}}, ours: 2,
		measurements: []measurement{{name: "chat", faults: []string{"lost", "cut"}}},
	}
	if err := faults(tab, []series{{{sound}, {lossy}, {sound}}}); err == nil || !strings.Contains(err.Error(), "SQLite, round 1: lost = 3") {
		t.Errorf("our loss: %v", err)
	}
	if err := faults(tab, []series{{{sound}, {sound}, {lossy}}}); err != nil {
		t.Errorf("the peer's loss: %v", err)
	}
}

func TestTableIsRendered(t *testing.T) {
	tab := table{
		sides: []side{{name: "Sohbet"}, {name: "Bun"}}, ratios: []ratioColumn{{"to Bun", 0, 1}}, aims: "aim",
		measurements: []measurement{{figures: []figure{{"CPU, ms", "cpu", 1e-3, 1, "≤ 0.8×"}}}},
	}
	got := tab.render(2, []series{{{{"cpu": 1000.0}, {"cpu": 2000.0}}, {{"cpu": 4000.0}, {"cpu": 2000.0}}}})
	if want := "| | Sohbet | Bun | to Bun | aim |\n|---|--:|--:|--:|--:|\n| CPU, ms | 1.5 | 3.0 | 0.50× (0.25–1.00) | ≤ 0.8× |\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestMeasurementsAreChosen(t *testing.T) {
	all := []table{{name: "a", measurements: []measurement{{name: "x"}, {name: "y"}}}, {name: "b", measurements: []measurement{{name: "z"}}}}
	chosen, err := choose(all, "y")
	if err != nil || len(chosen) != 1 || len(chosen[0].measurements) != 1 || chosen[0].measurements[0].name != "y" {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := choose(all, "z,unknown"); err == nil {
		t.Error("an unknown measurement was taken")
	}
}

func TestTableIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const begin, other = "<!-- table chat: written by make bench -->\n", "<!-- table start: written by make bench -->\nkept\n" + tableEnd + "\n"
	write("before\n" + other + begin + "old" + tableEnd + "\nafter\n")
	for range 2 {
		if err := replaceTable(path, "chat", "new"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\n" + other + begin + "\nnew\n" + tableEnd + "\nafter\n"; string(got) != want {
		t.Errorf("got %q", got)
	}
	write("no table here")
	if replaceTable(path, "chat", "new") == nil {
		t.Error("a file without a table was taken")
	}
}

func TestReadmeHasAPlaceForEachTable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(path, readme, 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bench{}
	for _, tab := range []table{b.realtime(), b.chat(), b.start(), b.connections(), b.stored(), b.processes()} {
		if err := replaceTable(path, tab.name, "new"); err != nil {
			t.Error(err)
		}
	}
}
