package models

import (
	"context"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// ThreadCounts counts the threads that [Store.Threads] lists.
type ThreadCounts struct {
	Active, Closed int64
	Waiting        int64 // active threads whose visitor waits for an answer
	Unread         int64 // visitor messages not read by any agent, in all threads
	Unassigned     int64 // active threads without assignee
}

// CountThreads counts the threads that are listed. It reads all of them: a few milliseconds for 10,000.
func (s *Store) CountThreads(ctx context.Context) (ThreadCounts, error) {
	var c ThreadCounts
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Thread{}).Where("last_message_at IS NOT NULL").Select(
			"count(CASE WHEN status = ? THEN 1 END) AS active, count(CASE WHEN status = ? THEN 1 END) AS closed, "+
				"count(waiting_since) AS waiting, coalesce(sum(unread_count), 0) AS unread, "+
				"count(CASE WHEN status = ? AND assignee_id IS NULL THEN 1 END) AS unassigned", StatusActive, StatusClosed, StatusActive).Take(&c).Error
	})
	if err != nil {
		return ThreadCounts{}, s.failed("count threads", err)
	}
	return c, nil
}

// CountAssigned counts the active threads of each agent who has any.
func (s *Store) CountAssigned(ctx context.Context) (map[AgentID]int64, error) {
	var rows []struct {
		AssigneeID AgentID
		Threads    int64
	}
	err := database.Retry(ctx, func() error {
		rows = nil
		return s.db.Read.WithContext(ctx).Model(&Thread{}).Where("assignee_id IS NOT NULL AND last_message_at IS NOT NULL AND status = ?", StatusActive).
			Select("assignee_id, count(*) AS threads").Group("assignee_id").Find(&rows).Error
	})
	if err != nil {
		return nil, s.failed("count assigned threads", err)
	}
	counts := make(map[AgentID]int64, len(rows))
	for _, row := range rows {
		counts[row.AssigneeID] = row.Threads
	}
	return counts, nil
}

// CountFound counts the threads that match a search; [Store.Threads] lists the same ones page by page.
func (s *Store) CountFound(ctx context.Context, search string) (int64, error) {
	var n int64
	err := database.Retry(ctx, func() error {
		db := s.threadsQuery(ctx, ThreadQuery{Search: search})
		return s.db.Read.WithContext(ctx).Session(&gorm.Session{NewDB: true}).Table("(?) AS found", db.Select("1").Limit(-1)).Count(&n).Error
	})
	if err != nil {
		return 0, s.failed("count found threads", err)
	}
	return n, nil
}
