package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"sohbet/bench/launch"
)

// chat compares the whole chat. All commit durably before they ack, and all store the messages of a visitor in order.
func (b *bench) chat() table {
	return table{
		name: "chat",
		prepare: func(ctx context.Context) error {
			return errors.Join(b.peers(ctx), b.openPostgres(ctx), b.whole(ctx))
		},
		describe: func(ctx context.Context) (string, error) {
			peers, err := b.peerVersions(ctx)
			return fmt.Sprintf("%s; PostgreSQL %s with fsync and synchronous_commit on, on the same cores", peers, b.postgres.version), err
		},
		sides: []side{
			b.onPostgres("Sohbet, PostgreSQL", "", func(ctx context.Context, database string) (*launch.Server, error) {
				return b.sohbet(ctx, b.dir+"/data", database)
			}),
			b.onSQLite("Sohbet, SQLite", ""),
			b.chatPeer("Node", func() string { return "node" }),
			b.chatPeer("Bun", func() string { return b.bun }),
		},
		ours: 2, ratios: []ratioColumn{{"PostgreSQL to Node", 0, 2}, {"PostgreSQL to Bun", 0, 3}, {"SQLite to Bun", 1, 3}}, aims: "aim",
		measurements: []measurement{
			{"chat", strings.Fields("-mode messages -conns 50 -depth 8 -warm 2s -measure 8s"), []figure{
				{"**messages per second**, 50 visitors, eight unacked messages each", "per_second", 1, 0, "≥ 6× Bun"},
				{"**CPU per message** of the server, µs", "cpu_us_per_unit", 1, 0, "≤ 50"},
				{"— of PostgreSQL, µs", "database_us_per_unit", 1, 0, ""},
				{"— ack p50, ms", "acked.p50_ms", 1, 1, ""},
				{"— ack p99, ms", "acked.p99_ms", 1, 1, ""},
			}, []string{"lost", "doubled"}},
			{"chat-calm", strings.Fields("-mode messages -conns 4 -depth 1 -warm 1s -measure 5s"), []figure{
				{"messages per second, four visitors who wait for each ack", "per_second", 1, 0, ""},
				{"— CPU per message of the server, µs", "cpu_us_per_unit", 1, 0, ""},
				{"— ack p50, ms", "acked.p50_ms", 1, 1, ""},
				{"— ack p99, ms", "acked.p99_ms", 1, 1, ""},
			}, []string{"lost", "doubled"}},
		},
	}
}

// chatPeer is bench/peer/chat.mjs on a runtime.
func (b *bench) chatPeer(name string, runtime func() string) side {
	const agent = "agent=benchmark"
	return b.onPostgres(name, "", func(ctx context.Context, database string) (*launch.Server, error) {
		server, err := launch.Start(ctx, append(os.Environ(), "DATABASE_URL="+database, "AGENT_COOKIE="+agent), runtime(), "bench/peer/chat.mjs")
		if err == nil {
			server.Cookie = agent
		}
		return server, err
	})
}

// onPostgres is a side with a new database for each measurement.
func (b *bench) onPostgres(name, template string, start func(ctx context.Context, database string) (*launch.Server, error)) side {
	return side{name, func(ctx context.Context, m measurement) (result map[string]any, err error) {
		database, remove, err := b.postgres.temporary(ctx, template)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, remove()) }()
		server, err := start(ctx, b.postgres.address(database))
		if err != nil {
			return nil, err
		}
		defer server.Stop()
		return b.load(ctx, server, slices.Concat(m.args, []string{"-database", b.postgres.pid})...)
	}}
}

// onSQLite is Sohbet with a copy of a data folder, or an empty one, for each measurement.
func (b *bench) onSQLite(name, template string) side {
	return side{name, func(ctx context.Context, m measurement) (result map[string]any, err error) {
		dir, err := os.MkdirTemp(b.dir, "data")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if template != "" {
			if err := os.CopyFS(dir, os.DirFS(template)); err != nil {
				return nil, err
			}
		}
		server, err := b.sohbet(ctx, dir, "")
		if err != nil {
			return nil, err
		}
		defer server.Stop()
		return b.load(ctx, server, m.args...)
	}}
}
