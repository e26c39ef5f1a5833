package models

import (
	"context"
	"slices"
	"time"

	"sohbet/models/database"
)

// FirstAnswer is how long a visitor waited for the first answer after starting a conversation, in milliseconds.
type FirstAnswer struct {
	ID         int64
	WaitedMS   int64
	AnsweredAt time.Time
}

const (
	answersCounted = 50 // number of newest answers in the median
	answersNeeded  = 3  // fewer give no meaningful median
)

// MedianFirstAnswer returns the median of the latest first-answer times; ok is false while there are fewer than answersNeeded of them.
func (s *Store) MedianFirstAnswer(ctx context.Context) (usual time.Duration, ok bool, err error) {
	var waited []int64
	err = database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&FirstAnswer{}).Order("id DESC").Limit(answersCounted).Pluck("waited_ms", &waited).Error
	})
	if err != nil || len(waited) < answersNeeded {
		return 0, false, s.failed("read first answers", err)
	}
	slices.Sort(waited)
	middle := waited[len(waited)/2]
	if len(waited)%2 == 0 {
		middle = (middle + waited[len(waited)/2-1]) / 2
	}
	return time.Duration(middle) * time.Millisecond, true, nil
}

// TrimFirstAnswers deletes first answers too old to count in the median.
func (s *Store) TrimFirstAnswers(ctx context.Context) error {
	var newest []FirstAnswer
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Order("id DESC").Limit(answersCounted).Find(&newest).Error
	})
	if err != nil || len(newest) < answersCounted {
		return s.failed("read first answers", err)
	}
	oldest := newest[len(newest)-1].ID
	err = database.Retry(ctx, func() error { return s.db.Write.WithContext(ctx).Where("id < ?", oldest).Delete(&FirstAnswer{}).Error })
	return s.failed("trim first answers", err)
}
