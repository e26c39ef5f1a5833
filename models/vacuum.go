package models

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// Compacted is the size of the database before and after compacting, in bytes.
type Compacted struct {
	Before int64 `json:"before_bytes"`
	After  int64 `json:"after_bytes"`
	// Whole means that the database was created by an earlier version and can only be compacted as a whole.
	Whole bool `json:"whole,omitempty"`
}

// Spare returns the free bytes inside SQLite's file, which are reused before the file grows. It returns 0 for PostgreSQL, whose disk is
// not on this machine.
func (s *Store) Spare(ctx context.Context) (uint64, error) {
	if s.db.Dialect == database.Postgres {
		return 0, nil
	}
	var bytes uint64
	err := s.db.Read.WithContext(ctx).Raw("SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()").Scan(&bytes).Error
	return bytes, s.failed("read the free space in the database", err)
}

// incrementalVacuum is the value of SQLite's auto_vacuum with which free pages can be returned a few at a time.
const incrementalVacuum = 2

// Compact returns the space of deleted rows to the system and refreshes the query planner's statistics, without blocking other writers:
// on SQLite in small transactions, after each of which it calls report with the pages returned so far and all free pages. An SQLite
// database that was created by an earlier version is left as it is, except with whole: then it is rewritten, during which nothing can
// be written, and its space can be returned in small transactions from then on.
func (s *Store) Compact(ctx context.Context, whole bool, report func(done, total int64)) (c Compacted, err error) {
	size := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if s.db.Dialect == database.Postgres {
		size = "SELECT pg_database_size(current_database())"
	}
	measure := func(into *int64) error { return s.db.Read.WithContext(ctx).Raw(size).Scan(into).Error }
	if err = measure(&c.Before); err != nil {
		return c, s.failed("measure the database", err)
	}
	if s.db.Dialect == database.Postgres {
		err = s.db.Write.WithContext(ctx).Exec("VACUUM (ANALYZE)").Error
	} else {
		err = s.compactSQLite(ctx, whole, &c, report)
	}
	if err == nil {
		err = measure(&c.After)
	}
	return c, s.failed("compact the database", err)
}

func (s *Store) compactSQLite(ctx context.Context, whole bool, c *Compacted, report func(done, total int64)) error {
	var mode int
	if err := s.db.Write.WithContext(ctx).Raw("PRAGMA auto_vacuum").Scan(&mode).Error; err != nil {
		return err
	}
	var err error
	switch {
	case mode == incrementalVacuum:
		err = s.returnFreePages(ctx, report)
	case whole:
		err = s.onWriter(ctx, "PRAGMA auto_vacuum = INCREMENTAL", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
	default:
		c.Whole = true
	}
	if err != nil {
		return err
	}
	return s.onWriter(ctx, "PRAGMA optimize")
}

// onWriter executes statements on the connection that writes to SQLite, outside of a transaction.
func (s *Store) onWriter(ctx context.Context, statements ...string) error {
	return s.db.Write.WithContext(ctx).Connection(func(db *gorm.DB) error {
		for _, statement := range statements {
			if err := db.Exec(statement).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

// returnFreePages returns SQLite's free pages to the system.
func (s *Store) returnFreePages(ctx context.Context, report func(done, total int64)) error {
	size := newPace(5000)
	var done, total int64
	for {
		var free int64
		if err := s.db.Read.WithContext(ctx).Raw("PRAGMA freelist_count").Scan(&free).Error; err != nil {
			return err
		}
		if free == 0 {
			break
		}
		total = max(total, done+free)
		start := time.Now()
		step, spent := size.rows(), time.Duration(0)
		err := s.db.Write.WithContext(ctx).Connection(func(db *gorm.DB) error {
			began := time.Now()
			defer func() { spent = time.Since(began) }()
			rows, err := db.Raw("PRAGMA incremental_vacuum(" + strconv.Itoa(step) + ")").Rows() // each row is one page
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		})
		if err != nil {
			return err
		}
		size.took(step, spent)
		done += min(int64(step), free)
		report(done, total)
		if err := s.rest(ctx, start); err != nil {
			return err
		}
	}
	s.checkpointed.Store(0)
	return s.checkpoint(ctx)
}

// checkpointEvery is short, so that each checkpoint writes few pages: a commit waits until the disk has written those of a checkpoint.
const checkpointEvery = 10 * time.Millisecond

// checkpoint copies SQLite's write-ahead log into the database from time to time, on a connection that blocks no writer. After long work a
// writer would have to do it, and those behind it to wait.
func (s *Store) checkpoint(ctx context.Context) error {
	now, last := time.Now().UnixNano(), s.checkpointed.Load()
	if s.db.Dialect != database.SQLite || now-last < int64(checkpointEvery) || !s.checkpointed.CompareAndSwap(last, now) {
		return nil
	}
	return s.db.Read.WithContext(ctx).Exec("PRAGMA wal_checkpoint(PASSIVE)").Error
}
