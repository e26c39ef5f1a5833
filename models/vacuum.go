package models

import (
	"context"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// Compacted is the size of the database before and after compacting, in bytes.
type Compacted struct{ Before, After int64 }

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

// Compact returns the space of deleted rows to the system and refreshes the query planner's statistics. SQLite rewrites the file and
// blocks other writers meanwhile; PostgreSQL's VACUUM does not block.
func (s *Store) Compact(ctx context.Context) (c Compacted, err error) {
	statements := []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA optimize"}
	size := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if s.db.Dialect == database.Postgres {
		statements, size = []string{"VACUUM (ANALYZE)"}, "SELECT pg_database_size(current_database())"
	}
	measure := func(into *int64) error { return s.db.Read.WithContext(ctx).Raw(size).Scan(into).Error }
	if err = measure(&c.Before); err != nil {
		return c, s.failed("measure the database", err)
	}
	err = s.db.Write.WithContext(ctx).Connection(func(db *gorm.DB) error {
		for _, statement := range statements {
			if err := db.Exec(statement).Error; err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = measure(&c.After)
	}
	return c, s.failed("compact the database", err)
}
