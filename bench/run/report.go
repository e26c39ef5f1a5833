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
type series [3][]map[string]any

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
func report(ctx context.Context, bun string, rounds int, chosen []measurement, results []series) (string, error) {
	machine, err := describe(ctx, bun)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Medians of %d rounds; in brackets the lowest and highest ratio of a round.\n\n", machine, rounds)
	b.WriteString("| | Sohbet | Node | Bun | to Node | to Bun | aim to Bun |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for i, m := range chosen {
		for _, f := range m.figures {
			var v [len(series{})][]float64
			for s := range v {
				for round := range rounds {
					v[s] = append(v[s], f.scale*value(results[i][s][round], f.path))
				}
			}
			fmt.Fprintf(&b, "| %s ", f.label)
			for s := range v {
				fmt.Fprintf(&b, "| %.*f ", f.digits, median(v[s]))
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", ratio(v[0], v[1]), ratio(v[0], v[2]), f.aim)
		}
	}
	return b.String(), nil
}

// ratio returns the ratio of the medians, and the lowest and highest ratio of a round.
func ratio(ours, theirs []float64) string {
	var rounds []float64
	for i, other := range theirs {
		if other != 0 {
			rounds = append(rounds, ours[i]/other)
		}
	}
	if len(rounds) == 0 || median(theirs) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f× (%.2f–%.2f)", median(ours)/median(theirs), slices.Min(rounds), slices.Max(rounds))
}

// describe returns a description of the machine, the versions and the date.
func describe(ctx context.Context, bun string) (string, error) {
	var versions []string
	for _, name := range []string{"socket.io", "@socket.io/bun-engine"} {
		var peer struct{ Version string }
		b, err := os.ReadFile("bench/peer/node_modules/" + name + "/package.json")
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(b, &peer); err != nil {
			return "", err
		}
		versions = append(versions, name+" "+peer.Version)
	}
	node, err := output(ctx, "node", "--version")
	if err != nil {
		return "", err
	}
	bunVersion, err := output(ctx, bun, "--version")
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
	return fmt.Sprintf("%s, Sohbet %s on %s, %s on Node %s, the same with %s on Bun %s; %d cores of %s, Linux %s", time.Now().UTC().Format(time.DateOnly),
		commit, runtime.Version(), versions[0], node, versions[1], bunVersion, runtime.NumCPU(), cpuModel(), bytes.TrimSpace(kernel)), nil
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
