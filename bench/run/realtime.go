package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"sohbet/bench/launch"
)

// realtime compares the realtime layer alone.
func (b *bench) realtime() table {
	serving := func(name string, command func() []string) side {
		return side{name, func(ctx context.Context, m measurement) (map[string]any, error) {
			server, err := launch.Start(ctx, os.Environ(), command()...)
			if err != nil {
				return nil, err
			}
			defer server.Stop()
			return b.load(ctx, server, m.args...)
		}}
	}
	return table{
		name: "realtime", prepare: b.peers, describe: b.peerVersions,
		sides: []side{
			serving("Sohbet", func() []string { return []string{filepath.Join(b.dir, "server")} }),
			serving("Node", func() []string { return []string{"node", "bench/peer/server.mjs"} }),
			serving("Bun", func() []string { return []string{b.bun, "bench/peer/server.mjs"} }),
		},
		ours: 1, ratios: []ratioColumn{{"to Node", 0, 1}, {"to Bun", 0, 2}}, aims: "aim to Bun",
		measurements: realtimeMeasurements,
	}
}

var realtimeMeasurements = []measurement{
	{"fanout", strings.Fields("-mode fanout -conns 500 -rate 50 -measure 6s"), []figure{
		{"**CPU per delivered broadcast**, 50 messages/s to 500 members, µs", "cpu_us_per_unit", 1, 1, "≤ 0.8×"},
		{"— its p99 latency, ms", "latency.p99_ms", 1, 1, ""},
	}, []string{"lost", "misplaced", "cut"}},
	{"fanout-flood", strings.Fields("-mode fanout -conns 500 -depth 4 -measure 5s"), []figure{
		{"CPU per delivered broadcast, as fast as delivered, µs", "cpu_us_per_unit", 1, 1, "≤ 0.4×"},
		{"— deliveries per second", "per_second", 1, 0, ""},
	}, []string{"lost", "misplaced", "cut"}},
	{"echo", strings.Fields("-mode echo -conns 50 -measure 5s"), []figure{
		{"**CPU per echoed event**, 50 clients, one unanswered event each, µs", "cpu_us_per_unit", 1, 1, "≤ 0.8×"},
		{"— events per second", "per_second", 1, 0, ""},
		{"— its p99 latency, ms", "latency.p99_ms", 1, 1, ""},
	}, []string{"wrong"}},
	{"echo-pipelined", strings.Fields("-mode echo -conns 50 -depth 8 -measure 5s"), []figure{
		{"CPU per echoed event, eight unanswered events each, µs", "cpu_us_per_unit", 1, 1, ""},
	}, []string{"wrong"}},
	{"idle", strings.Fields("-mode idle -conns 5000 -settle 30s"), []figure{
		{"**memory per idle websocket**, 5,000 held past a heartbeat, kB", "bytes_per_conn", 1e-3, 1, "≤ 0.4×"},
	}, []string{"dropped"}},
	{"churn", strings.Fields("-mode churn -conns 10000 -parallel 50"), []figure{
		{"**connections per second**, 50 at a time, connect to close", "per_second", 1, 0, "≥ 1.5×"},
		{"— CPU per connection, µs", "cpu_us_per_unit", 1, 0, ""},
		{"— slowest handshake, ms", "handshake.max_ms", 1, 0, ""},
	}, []string{"over_1s", "failed"}},
	{"burst", strings.Fields("-mode burst -events 10000"), []figure{
		{"10,000 events in one tick to the server: lost", "up.lost", 1, 0, "0"},
		{"— from the server: lost", "down.lost", 1, 0, "0"},
		{"— through a room and back: lost", "room.lost", 1, 0, "0"},
		{"— out of order or doubled, all three", "up.misplaced+down.misplaced+room.misplaced", 1, 0, "0"},
	}, []string{"up.lost", "down.lost", "room.lost", "up.misplaced", "down.misplaced", "room.misplaced"}},
}
