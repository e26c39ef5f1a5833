package models

import (
	"context"
	"sync/atomic"
	"time"

	"sohbet/models/database"
)

// Long work shares the database with visitors: its transactions are short, and as much time passes between them.
const (
	paceTarget = 4 * time.Millisecond // per transaction, with its commit
	paceLeast  = 25                   // rows per transaction
	leastPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// pace adapts the number of rows per transaction to the time that they take.
type pace struct {
	size atomic.Int64
	most int
}

func newPace(most int) *pace {
	p := &pace{most: most}
	p.size.Store(100)
	return p
}

// rows returns the number of rows for the next transaction.
func (p *pace) rows() int { return int(p.size.Load()) }

// took adapts the size after a transaction.
func (p *pace) took(rows int, spent time.Duration) {
	size := p.rows()
	if rows < size/2 { // too few to judge by
		return
	}
	fits := int(float64(rows) * float64(paceTarget) / float64(max(spent, time.Microsecond)))
	p.size.Store(int64(min(max(fits, paceLeast, size/2), p.most, 2*size)))
}

// rest pauses for as long as the work since start took.
func (s *Store) rest(ctx context.Context, start time.Time) error {
	if err := s.checkpoint(ctx); err != nil {
		return err
	}
	return database.Pause(ctx, min(max(time.Since(start), leastPause), mostPause))
}
