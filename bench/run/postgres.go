package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// postgres makes databases for measurements.
type postgres struct {
	url     *url.URL
	pid     string // of the postmaster
	version string
	made    int
}

// openPostgres finds the PostgreSQL of .ci/services, which must commit durably.
func (b *bench) openPostgres(ctx context.Context) error {
	text := os.Getenv("SOHBET_TEST_POSTGRES")
	if text == "" {
		return errors.New("no PostgreSQL: run this through FSYNC=on .ci/services")
	}
	at, err := url.Parse(text)
	if err != nil {
		return err
	}
	p := &postgres{url: at}
	var fsync, commit, status string
	if err := p.query(ctx, "postgres", `SELECT current_setting('fsync'), current_setting('synchronous_commit'), pg_read_file('postmaster.pid'),
		split_part(current_setting('server_version'), ' ', 1)`, &fsync, &commit, &status, &p.version); err != nil {
		return err
	}
	if fsync != "on" || commit != "on" {
		return fmt.Errorf("PostgreSQL has fsync %s and synchronous_commit %s: both must be on (FSYNC=on .ci/services)", fsync, commit)
	}
	p.pid, _, _ = strings.Cut(status, "\n")
	b.postgres = p
	return nil
}

// address returns the URL of a database.
func (p *postgres) address(database string) string {
	at := *p.url
	at.Path = "/" + database
	return at.String()
}

// query runs a statement in a database and reads its row, if it returns one.
func (p *postgres) query(ctx context.Context, database, sql string, row ...any) (err error) {
	conn, err := pgx.Connect(ctx, p.address(database))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if len(row) > 0 {
		return conn.QueryRow(ctx, sql).Scan(row...)
	}
	_, err = conn.Exec(ctx, sql)
	return err
}

// create makes a copy of a database, or an empty one.
func (p *postgres) create(ctx context.Context, name, template string) error {
	if template == "" {
		template = "template1"
	}
	return p.query(ctx, "postgres", "CREATE DATABASE "+name+" TEMPLATE "+template)
}

// temporary creates a database for one measurement, which does not pay for writing what was written before, and returns what removes it.
func (p *postgres) temporary(ctx context.Context, template string) (name string, remove func() error, err error) {
	p.made++
	name = "bench" + strconv.Itoa(p.made)
	if err := p.create(ctx, name, template); err != nil {
		return "", nil, err
	}
	return name, func() error {
		return p.query(context.WithoutCancel(ctx), "postgres", "DROP DATABASE "+name+" WITH (FORCE)")
	}, p.query(ctx, "postgres", "CHECKPOINT")
}
