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
	lossy := map[string]any{"lost": 3.0}
	m := []measurement{{name: "fanout", faults: []string{"lost", "cut"}}}
	if err := faults(m, []series{{{lossy}, {{"lost": 0.0}}, {{"lost": 0.0}}}}); err == nil || !strings.Contains(err.Error(), "lost = 3") {
		t.Errorf("our loss: %v", err)
	}
	if err := faults(m, []series{{{{"lost": 0.0}}, {lossy}, {lossy}}}); err != nil {
		t.Errorf("the peers' loss: %v", err)
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
	write("before\n" + tableBegin + "old" + tableEnd + "\nafter\n")
	for range 2 {
		if err := replaceTable(path, "new"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\n" + tableBegin + "\nnew\n" + tableEnd + "\nafter\n"; string(got) != want {
		t.Errorf("got %q", got)
	}
	write("no table here")
	if replaceTable(path, "new") == nil {
		t.Error("a file without a table was taken")
	}
}
