package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"sohbet/bench/launch"
)

// connections shows the cost of visitors who only hold their connections and send heartbeats.
func (b *bench) connections() table {
	most := 20_000
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		most = int(min(uint64(most), files.Max/10*9)) // the server reserves a twentieth for other files
	}
	holding := func(n int) side {
		start := b.onSQLite(fmt.Sprintf("%d,%03d connections", n/1000, n%1000), "")
		return side{start.name, func(ctx context.Context, m measurement) (map[string]any, error) {
			m.args = slices.Concat(m.args, []string{"-conns", strconv.Itoa(n)})
			result, err := start.measure(ctx, m)
			if err == nil {
				result["ping_us"] = value(result, "idle_cores") / float64(n) * 25e6 // the server pings every 25 s
			}
			return result, err
		}}
	}
	return table{
		name: "connections", prepare: b.whole,
		sides: []side{holding(1000), holding(10_000), holding(most)},
		ours:  3, ratios: []ratioColumn{{"most to 1,000", 2, 0}}, aims: "theory",
		measurements: []measurement{
			{"connections", strings.Fields("-mode heartbeats -settle 5s -measure 30s"), []figure{
				{"memory per visitor with a thread, kB", "bytes_per_conn", 1e-3, 1, "1×: buffers only while there is something to read or write"},
				{"CPU per ping of the engine and its answer, µs", "ping_us", 1, 1, "≤ 1×: one timer for all; the more arrives, the more a wake-up reads"},
				{"CPU per heartbeat, evenly distributed, µs", "spread.cpu_us_per_heartbeat", 1, 0, "≤ 1×, for the same reason"},
				{"CPU per heartbeat, all at once, µs", "storm.cpu_us_per_heartbeat", 1, 0, "1×"},
			}, []string{"dropped"}},
		},
	}
}

// stored shows the cost of a message and of a page of history when others are already stored.
func (b *bench) stored() table {
	var sides []side
	var prepare []func(context.Context) error
	for _, size := range []struct {
		name     string
		threads  int
		messages int
	}{{"10,000 messages", 100, 10_000}, {"1,000,000", 10_000, 1_000_000}} {
		dir, database := filepath.Join(b.dir, "seed"+strconv.Itoa(size.messages)), "seed"+strconv.Itoa(size.messages)
		prepare = append(prepare, func(ctx context.Context) error { return b.seed(ctx, dir, database, size.threads, size.messages) })
		sides = append(sides, b.onSQLite("SQLite, "+size.name, dir),
			b.onPostgres("PostgreSQL, "+size.name, database, func(ctx context.Context, address string) (*launch.Server, error) {
				return b.sohbet(ctx, filepath.Join(b.dir, "data"), address)
			}))
	}
	return table{
		name: "stored",
		prepare: func(ctx context.Context) error {
			for _, do := range append([]func(context.Context) error{b.whole, b.openPostgres}, prepare...) {
				if err := do(ctx); err != nil {
					return err
				}
			}
			return nil
		},
		describe: func(context.Context) (string, error) { return "PostgreSQL " + b.postgres.version, nil },
		sides:    sides,
		ours:     4, ratios: []ratioColumn{{"SQLite", 2, 0}, {"PostgreSQL", 3, 1}}, aims: "theory",
		measurements: []measurement{
			{"stored", strings.Fields("-mode messages -conns 4 -depth 1 -warm 1s -measure 3s"), []figure{
				{"CPU per message of the server, µs", "cpu_us_per_unit", 1, 0, "1× to 1.5×: the depth of the indexes, log n"},
				{"— of PostgreSQL, µs", "database_us_per_unit", 1, 0, "the same"},
				{"— ack p50, ms", "acked.p50_ms", 1, 1, "1×: it is the disk's"},
				{"— ack p99, ms", "acked.p99_ms", 1, 1, "1×"},
			}, []string{"lost", "doubled"}},
			{"page", strings.Fields("-mode history -events 300"), []figure{
				{"page of 50 messages in the middle of a conversation with nearly all, p50, ms", "took.p50_ms", 1, 2, "1× to 1.5×: one range of an index"},
				{"— p99, ms", "took.p99_ms", 1, 2, ""},
			}, nil},
		},
	}
}

// seed stores messages in a data folder and in a database of PostgreSQL, nearly all of them in one conversation.
func (b *bench) seed(ctx context.Context, dir, database string, threads, messages int) error {
	if err := launch.Build(ctx, b.dir, map[string]string{"seed": "./assets/test/seed"}); err != nil {
		return err
	}
	if err := b.postgres.create(ctx, database, ""); err != nil {
		return err
	}
	history := messages - threads - threads/2 // every second conversation has an answer
	for _, address := range []string{"", b.postgres.address(database)} {
		cmd := exec.CommandContext(ctx, filepath.Join(b.dir, "seed"), "-threads", strconv.Itoa(threads), "-history", strconv.Itoa(history))
		cmd.Env, cmd.Dir = launch.Env(dir, address), b.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	return b.postgres.query(ctx, database, "VACUUM (ANALYZE)")
}

// processes shows the cost of a message with several processes, by bench/scale.sh.
func (b *bench) processes() table {
	running := func(name string, n int) side {
		return side{name, func(ctx context.Context, _ measurement) (map[string]any, error) {
			cmd := exec.CommandContext(ctx, "bench/scale.sh", "0", "1")
			cmd.Env = append(os.Environ(), "SOHBET_BIN="+b.binary, "SOHBET_BINARIES=", "SOHBET_PROCESSES="+strconv.Itoa(n))
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				return nil, err
			}
			result, err := decoded(out)
			if err == nil {
				result["redis_us"] = 1e6 * value(result, "redis_cpu_s") / value(result, "result.units")
			}
			return result, err
		}}
	}
	return table{
		name: "processes",
		prepare: func(ctx context.Context) error {
			if err := b.whole(ctx); err != nil {
				return err
			}
			return b.openPostgres(ctx)
		},
		describe: func(context.Context) (string, error) { return "PostgreSQL " + b.postgres.version, nil },
		sides:    []side{running("1 process without Redis", 0), running("1 with Redis", 1), running("2", 2), running("3", 3)},
		ours:     4, ratios: []ratioColumn{{"1 with to without", 1, 0}, {"2 to 1", 2, 1}, {"3 to 1", 3, 1}}, aims: "theory",
		measurements: []measurement{{"processes", nil, []figure{
			{"messages per second", "result.per_second", 1, 0, "1× on the same cores"},
			{"CPU per message of all processes, µs", "result.cpu_us_per_unit", 1, 0, "1× and, for (n−1)/n of the messages, one reading at the agent's process; smaller batches"},
			{"— of PostgreSQL, µs", "result.database_us_per_unit", 1, 0, "more by smaller batches, at most n×"},
			{"— of Redis, µs", "redis_us", 1, 1, "1× to receive, n× to send"},
			{"— ack p99, ms", "result.acked.p99_ms", 1, 1, ""},
		}, []string{"result.lost", "result.doubled"}}},
	}
}
