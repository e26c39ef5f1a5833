package models

import (
	"context"
	"errors"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// ErrAssigned means that a thread has another assignee than the change expects.
var ErrAssigned = errors.New("models: the thread is assigned to someone else")

// Assign changes the assignee of a thread; 0 = none. expected reports whether the present assignee may be replaced. It returns the thread,
// also with ErrAssigned. With a note, that is stored in the same transaction, and its fields are filled in as by [Store.AddNote].
func (s *Store) Assign(ctx context.Context, id string, to AgentID, expected func(present AgentID) bool, note *Note) (Thread, error) {
	var sealed Note
	if note != nil {
		var err error
		if sealed, err = s.sealNote(*note); err != nil {
			return Thread{}, err
		}
	}
	var row threadRow
	var queued []OutboxRow
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		row, queued = threadRow{}, nil
		err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Where(live).Take(&row).Error
		if err != nil {
			return err
		}
		if !expected(row.AssigneeID) {
			return ErrAssigned
		}
		if note != nil {
			if err := insertNote(tx, &sealed, row.Thread); err != nil {
				return err
			}
		}
		if row.AssigneeID == to {
			return nil
		}
		row.AssigneeID = to
		row.Rev++
		if s.assignees {
			queued = []OutboxRow{{Channel: ChannelTelegram, ThreadID: id, Kind: OutboxTopic, CreatedAt: stamp(s.Now())}}
			if err := tx.Create(&queued).Error; err != nil {
				return err
			}
		}
		return tx.Select("assignee_id", "rev").Where("id = ?", id).Updates(&row).Error
	})
	if errors.Is(err, ErrAssigned) {
		s.decryptThread(&row.Thread)
		return row.Thread, ErrAssigned
	}
	s.settled(id, err)
	if err != nil {
		return Thread{}, s.failed("assign a thread", err)
	}
	if note != nil {
		*note = s.decryptNote(sealed)
	}
	if queued != nil {
		s.outboxQueued(queued...)
	}
	s.decryptThread(&row.Thread)
	return row.Thread, nil
}
