package chat

import (
	"context"
	"sync"
	"time"

	"sohbet/models"
)

// countsMaxAge is how long counts are cached. Each console requests them after each change, with a delay a little longer than this.
const countsMaxAge = 250 * time.Millisecond

// Counts is the number of threads with messages, by kind.
type Counts struct {
	Active  int64  `json:"active"`
	Waiting int64  `json:"waiting"`
	Closed  int64  `json:"closed"`
	Unread  int64  `json:"unread"`          // visitor messages not read by any agent
	Found   *int64 `json:"found,omitempty"` // threads that match the search; omitted without one

	Mine       int64 `json:"mine"`       // active ones that the agent answers
	Unassigned int64 `json:"unassigned"` // active ones without assignee
}

// counts caches the last result.
type counts struct {
	mu   sync.Mutex
	last models.ThreadCounts
	mine map[models.AgentID]int64
	at   time.Time
}

// ThreadCounts counts the threads and, unless search is empty, those that match it.
func (s *Service) ThreadCounts(ctx context.Context, a Actor, search string) (Counts, error) {
	if err := agentOnly(a); err != nil {
		return Counts{}, err
	}
	all, mine, err := s.countAll(ctx)
	if err != nil {
		return Counts{}, Public(err)
	}
	c := Counts{Active: all.Active, Waiting: all.Waiting, Closed: all.Closed, Unread: all.Unread, Unassigned: all.Unassigned, Mine: mine[a.AgentID]}
	if search != "" {
		found, err := s.store.CountFound(ctx, search)
		if err != nil {
			return Counts{}, Public(err)
		}
		c.Found = &found
	}
	return c, nil
}

// countAll runs one count for all concurrent callers.
func (s *Service) countAll(ctx context.Context) (models.ThreadCounts, map[models.AgentID]int64, error) {
	s.counts.mu.Lock()
	defer s.counts.mu.Unlock()
	if now := s.now(); now.Sub(s.counts.at).Abs() >= countsMaxAge {
		all, err := s.store.CountThreads(ctx)
		if err != nil {
			return all, nil, err
		}
		mine, err := s.store.CountAssigned(ctx)
		if err != nil {
			return all, nil, err
		}
		s.counts.last, s.counts.mine, s.counts.at = all, mine, now
	}
	return s.counts.last, s.counts.mine, nil
}
