package models

import (
	"context"

	"gorm.io/gorm"
)

// transaction runs f in a transaction on the write pool. It retries after a serialization conflict or on a connection that was already
// dead in the pool, so f must be safe to run more than once. Under the context of a lease it requires that the lease is held.
func (s *Store) transaction(ctx context.Context, f func(tx *gorm.DB) error) error {
	return again(ctx, func() error {
		ctx, cancel := s.limit(ctx)
		defer cancel()
		return s.write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := s.fenced(ctx, tx); err != nil {
				return err
			}
			return f(tx)
		})
	})
}

// again runs f up to batchRetries times, as long as its error is transient.
func again(ctx context.Context, f func() error) error {
	err := f()
	for try := 1; try < batchRetries && err != nil && ctx.Err() == nil && classify(err).retry; try++ {
		err = f()
	}
	return err
}
