package models

import (
	"context"

	"gorm.io/gorm"
)

// Compacted is what compacting did.
type Compacted struct{ Before, After int64 } // bytes of the database

// Spare gives the bytes inside SQLite's file that deleted rows left and others will be written to before the file grows. Nothing is
// known of PostgreSQL's, whose disk is elsewhere.
func (s *Store) Spare(ctx context.Context) (uint64, error) {
	if s.dialect == dialectPostgres {
		return 0, nil
	}
	var bytes uint64
	err := s.read.WithContext(ctx).Raw("SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()").Scan(&bytes).Error
	return bytes, s.failed("look for room in the database", err)
}

// Compact gives the space of deleted rows back and renews what the planner knows of the tables. On SQLite, whose file is
// written anew, nobody else writes meanwhile; PostgreSQL's VACUUM lets the others go on.
func (s *Store) Compact(ctx context.Context) (c Compacted, err error) {
	statements := []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA optimize"}
	size := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if s.dialect == dialectPostgres {
		statements, size = []string{"VACUUM (ANALYZE)"}, "SELECT pg_database_size(current_database())"
	}
	measure := func(into *int64) error { return s.read.WithContext(ctx).Raw(size).Scan(into).Error }
	if err = measure(&c.Before); err != nil {
		return c, s.failed("measure the database", err)
	}
	err = s.write.WithContext(ctx).Connection(func(db *gorm.DB) error {
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
