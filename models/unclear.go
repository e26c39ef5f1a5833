package models

import (
	"errors"

	"gorm.io/gorm"
)

// OnUnclear sets a function that is called with the threads whose changes failed, but may have been stored: the connection may break during
// a commit. It must be called before the store is used, and the function must not block.
func (s *Store) OnUnclear(fn func(threads ...string)) { s.onUnclear.Store(&fn) }

func (s *Store) unclear(threads ...string) {
	if fn := s.onUnclear.Load(); fn != nil {
		(*fn)(threads...)
	}
}

// settled evicts a thread from the cache after a change of it was committed or failed.
func (s *Store) settled(threadID string, err error) {
	s.cache.changed(threadID)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, gorm.ErrRecordNotFound) && !errors.Is(err, ErrInvalid) {
		s.unclear(threadID)
	}
}
