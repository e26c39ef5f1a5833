package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// series holds a measurement's results for each side, one per round.
type series [2][]map[string]any

// value returns the number at a path; paths joined with + are summed.
func value(result map[string]any, path string) float64 {
	var sum float64
	for one := range strings.SplitSeq(path, "+") {
		var at any = result
		for key := range strings.SplitSeq(one, ".") {
			fields, _ := at.(map[string]any)
			at = fields[key]
		}
		n, _ := at.(float64)
		sum += n
	}
	return sum
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// report renders the table, with the machine and the versions that were measured.
func report(ctx context.Context, rounds int, chosen []measurement, results []series) (string, error) {
	machine, err := describe(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Medians of %d rounds; in brackets the lowest and highest ratio of a round.\n\n", machine, rounds)
	b.WriteString("| | Sohbet | Node | ratio | aim |\n|---|--:|--:|--:|--:|\n")
	for i, m := range chosen {
		for _, f := range m.figures {
			var v [2][]float64
			var ratios []float64
			for round := range rounds {
				for s := range v {
					v[s] = append(v[s], f.scale*value(results[i][s][round], f.path))
				}
				if v[1][round] != 0 {
					ratios = append(ratios, v[0][round]/v[1][round])
				}
			}
			ours, node := median(v[0]), median(v[1])
			ratio := "–"
			if len(ratios) > 0 && node != 0 {
				ratio = fmt.Sprintf("%.2f× (%.2f–%.2f)", ours/node, slices.Min(ratios), slices.Max(ratios))
			}
			fmt.Fprintf(&b, "| %s | %.*f | %.*f | %s | %s |\n", f.label, f.digits, ours, f.digits, node, ratio, f.aim)
		}
	}
	return b.String(), nil
}

// describe returns a description of the machine, the versions and the date.
func describe(ctx context.Context) (string, error) {
	var peer struct{ Version string }
	b, err := os.ReadFile("bench/peer/node_modules/socket.io/package.json")
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(b, &peer); err != nil {
		return "", err
	}
	node, err := output(ctx, "node", "--version")
	if err != nil {
		return "", err
	}
	commit, err := output(ctx, "git", "describe", "--always", "--dirty", "--tags")
	if err != nil {
		commit = "unknown"
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, Sohbet %s on %s, socket.io %s on Node %s; %d cores of %s, Linux %s", time.Now().UTC().Format(time.DateOnly),
		commit, runtime.Version(), peer.Version, node, runtime.NumCPU(), cpuModel(), bytes.TrimSpace(kernel)), nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return strings.TrimSpace(string(out)), err
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if key, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

const tableBegin, tableEnd = "<!-- table: written by make bench -->\n", "<!-- end of table -->"

func replaceTable(path, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(b), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no table section", path)
	}
	return os.WriteFile(path, []byte(before+tableBegin+"\n"+text+"\n"+tableEnd+after), 0o644)
}

// faults returns an error if Sohbet lost, duplicated or dropped anything, because then its speed means nothing.
func faults(chosen []measurement, results []series) error {
	var errs []error
	for i, m := range chosen {
		for round, result := range results[i][0] {
			for _, path := range m.faults {
				if n := value(result, path); n != 0 {
					errs = append(errs, fmt.Errorf("%s, round %d: %s = %.0f", m.name, round+1, path, n))
				}
			}
		}
	}
	return errors.Join(errs...)
}
