package chat

import (
	"context"
	"sync"
	"time"

	"sohbet/models"
)

// countsKept is how long counts serve everybody who asks: each console asks after each change, a little later than this.
const countsKept = 250 * time.Millisecond

// Counts is how many threads of each kind there are in which somebody wrote.
type Counts struct {
	Active  int64  `json:"active"`
	Waiting int64  `json:"waiting"`
	Closed  int64  `json:"closed"`
	Unread  int64  `json:"unread"`          // visitor messages that no agent has read
	Found   *int64 `json:"found,omitempty"` // those that a search finds, where there is one
}

// counts are the last ones, and their age.
type counts struct {
	mu   sync.Mutex
	last models.ThreadCounts
	at   time.Time
}

// ThreadCounts counts the threads and, unless search is empty, those that it finds.
func (s *Service) ThreadCounts(ctx context.Context, a Actor, search string) (Counts, error) {
	if err := agentOnly(a); err != nil {
		return Counts{}, err
	}
	all, err := s.countAll(ctx)
	if err != nil {
		return Counts{}, Public(err)
	}
	c := Counts{Active: all.Active, Waiting: all.Waiting, Closed: all.Closed, Unread: all.Unread}
	if search != "" {
		found, err := s.store.CountFound(ctx, search)
		if err != nil {
			return Counts{}, Public(err)
		}
		c.Found = &found
	}
	return c, nil
}

// countAll counts once for all who ask at the same time.
func (s *Service) countAll(ctx context.Context) (models.ThreadCounts, error) {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	if now := s.now(); now.Sub(s.counts.at) >= countsKept {
		all, err := s.store.CountThreads(ctx)
		if err != nil {
			return all, err
		}
		s.counts.last, s.counts.at = all, now
	}
	return s.counts.last, nil
}
