package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"sohbet/bench/launch"
)

const firstTime = time.Minute // watched after a start

// start measures the start of the program, of other binaries in turns with it.
func (b *bench) start() table {
	t := table{
		name: "start", prepare: b.whole, aims: "aim",
		sides: []side{{"Sohbet", func(ctx context.Context, _ measurement) (map[string]any, error) { return b.started(ctx, b.binary) }}},
		measurements: []measurement{{name: "start", figures: []figure{
			{"**first page** after exec, existing database, ms", "page_ms", 1, 0, "≤ 60"},
			{"— new database, ms", "new_page_ms", 1, 0, ""},
			{"CPU of the first minute, ms", "cpu_ms", 1, 0, ""},
			{"**peak memory** of the first minute, MB", "peak", 1e-6, 0, "≤ 60"},
			{"**resident idle** after it, MB", "resident", 1e-6, 0, "≤ 28"},
			{"**binary**, MB", "binary", 1e-6, 1, "≤ 38"},
		}}},
	}
	for other := range strings.FieldsSeq(os.Getenv("SOHBET_BINARIES")) {
		name, path, _ := strings.Cut(other, "=")
		t.ratios = append(t.ratios, ratioColumn{"to " + name, 0, len(t.sides)})
		t.sides = append(t.sides, side{name, func(ctx context.Context, _ measurement) (map[string]any, error) { return b.started(ctx, path) }})
	}
	return t
}

// started starts a binary with a new database, then with the same again, which it watches.
func (b *bench) started(ctx context.Context, binary string) (result map[string]any, err error) {
	dir, err := os.MkdirTemp(b.dir, "data")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, first, err := firstPage(ctx, dir, binary)
	if err != nil {
		return nil, err
	}
	server.Stop()
	began := time.Now()
	server, second, err := firstPage(ctx, dir, binary)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	select {
	case <-time.After(time.Until(began.Add(firstTime))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, err
	}
	peak, err1 := statusBytes(server.PID, "VmHWM:")
	resident, err2 := statusBytes(server.PID, "VmRSS:")
	cpu, err3 := cpuMilliseconds(server.PID)
	return map[string]any{
		"new_page_ms": milliseconds(first), "page_ms": milliseconds(second), "cpu_ms": cpu,
		"peak": peak, "resident": resident, "binary": float64(info.Size()),
	}, errors.Join(err1, err2, err3)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// firstPage starts a binary and returns the time from its exec to the end of its first page.
func firstPage(ctx context.Context, dir, binary string) (*launch.Server, time.Duration, error) {
	start := time.Now()
	server, err := launch.Start(ctx, launch.Env(dir, ""), binary)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.Addr+"/", nil)
	if err != nil {
		server.Stop()
		return nil, 0, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		err = errors.Join(err, res.Body.Close())
		if res.StatusCode != http.StatusOK {
			err = errors.Join(err, fmt.Errorf("the first page has status %d", res.StatusCode))
		}
	}
	took := time.Since(start)
	if err != nil {
		server.Stop()
	}
	return server, took, err
}

// statusBytes returns a field of /proc/PID/status that is in kB.
func statusBytes(pid int, field string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), field)
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kb, err := strconv.ParseFloat(number, 64)
	return kb * 1024, err
}

// cpuMilliseconds returns the user and system time of a process.
func cpuMilliseconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: unexpected format", pid)
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return 10 * (user + system), errors.Join(err1, err2) // USER_HZ is 100
}
