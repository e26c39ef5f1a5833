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
type series [][]map[string]any

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

// report renders a table, with the machine and the versions that were measured.
func (b *bench) report(ctx context.Context, t table, rounds int, results []series) (string, error) {
	machine, err := machine(ctx)
	if err != nil {
		return "", err
	}
	if t.describe != nil {
		more, err := t.describe(ctx)
		if err != nil {
			return "", err
		}
		machine += "; " + more
	}
	return fmt.Sprintf("%s. Medians of %d rounds; in brackets the lowest and highest ratio of a round.\n\n%s", machine, rounds, t.render(rounds, results)), nil
}

func (t table) render(rounds int, results []series) string {
	var b strings.Builder
	b.WriteString("| ")
	for _, s := range t.sides {
		b.WriteString("| " + s.name + " ")
	}
	for _, r := range t.ratios {
		b.WriteString("| " + r.heading + " ")
	}
	b.WriteString("| " + t.aims + " |\n|---" + strings.Repeat("|--:", len(t.sides)+len(t.ratios)+1) + "|\n")
	for i, m := range t.measurements {
		for _, f := range m.figures {
			v := make([][]float64, len(t.sides))
			fmt.Fprintf(&b, "| %s ", f.label)
			for s := range v {
				for round := range rounds {
					v[s] = append(v[s], f.scale*value(results[i][s][round], f.path))
				}
				fmt.Fprintf(&b, "| %.*f ", f.digits, median(v[s]))
			}
			for _, r := range t.ratios {
				fmt.Fprintf(&b, "| %s ", ratio(v[r.ours], v[r.theirs]))
			}
			fmt.Fprintf(&b, "| %s |\n", f.aim)
		}
	}
	return b.String()
}

// ratio returns the ratio of the medians, and the lowest and highest ratio of a round.
func ratio(ours, theirs []float64) string {
	var rounds []float64
	for i, other := range theirs {
		if other != 0 {
			rounds = append(rounds, ours[i]/other)
		}
	}
	if len(rounds) == 0 || median(theirs) == 0 || median(ours) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f× (%.2f–%.2f)", median(ours)/median(theirs), slices.Min(rounds), slices.Max(rounds))
}

// machine describes the machine and the commit, with the date.
func machine(ctx context.Context) (string, error) {
	commit, err := output(ctx, "git", "describe", "--always", "--dirty", "--tags")
	if err != nil {
		commit = "unknown"
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, Sohbet %s on %s; %d cores of %s, Linux %s", time.Now().UTC().Format(time.DateOnly),
		commit, runtime.Version(), runtime.NumCPU(), cpuModel(), bytes.TrimSpace(kernel)), nil
}

// peerVersions describes the peers.
func (b *bench) peerVersions(ctx context.Context) (string, error) {
	versions := map[string]string{}
	for _, name := range []string{"socket.io", "@socket.io/bun-engine", "pg"} {
		var peer struct{ Version string }
		b, err := os.ReadFile("bench/peer/node_modules/" + name + "/package.json")
		if err != nil {
			return "", err
		}
		if err := json.Unmarshal(b, &peer); err != nil {
			return "", err
		}
		versions[name] = peer.Version
	}
	node, err := output(ctx, "node", "--version")
	if err != nil {
		return "", err
	}
	bun, err := output(ctx, b.bun, "--version")
	return fmt.Sprintf("socket.io %s on Node %s and, with bun-engine %s, on Bun %s, pg %s",
		versions["socket.io"], node, versions["@socket.io/bun-engine"], bun, versions["pg"]), err
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

const tableEnd = "<!-- end of table -->"

// replaceTable replaces the text between the marks of a table.
func replaceTable(path, name, text string) error {
	begin := "<!-- table " + name + ": written by make bench -->\n"
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no place for the table %s", path, name)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+text+"\n"+tableEnd+after), 0o644)
}

// faults returns an error if Sohbet lost, duplicated or dropped anything, because then its speed means nothing.
func faults(t table, results []series) error {
	var errs []error
	for i, m := range t.measurements {
		for s, side := range t.sides[:t.ours] {
			for round, result := range results[i][s] {
				for _, path := range m.faults {
					if n := value(result, path); n != 0 {
						errs = append(errs, fmt.Errorf("%s, %s, round %d: %s = %.0f", m.name, side.name, round+1, path, n))
					}
				}
			}
		}
	}
	return errors.Join(errs...)
}
