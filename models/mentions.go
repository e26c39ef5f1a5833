package models

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"

	"sohbet/models/database"
)

// MaxMentions is how many agents a note notifies at most.
const MaxMentions = 10

// AgentIDs are agents in a column of text: <3><12>.
type AgentIDs []AgentID

func (id AgentID) marked() string { return "<" + strconv.FormatInt(int64(id), 10) + ">" }

// Value implements [driver.Valuer].
func (ids AgentIDs) Value() (driver.Value, error) {
	var text strings.Builder
	for _, id := range ids {
		text.WriteString(id.marked())
	}
	return text.String(), nil
}

// Scan implements sql.Scanner.
func (ids *AgentIDs) Scan(value any) error {
	text, ok := value.(string)
	if bytes, is := value.([]byte); is {
		text, ok = string(bytes), true
	}
	*ids = nil
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '<' || r == '>' }) {
		id, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			ok = false
			break
		}
		*ids = append(*ids, AgentID(id))
	}
	if !ok {
		return fmt.Errorf("models: agents are stored as %T", value)
	}
	return nil
}

// unseenBy selects the notes that notify an agent who has not seen them.
const unseenBy = "unseen_by <> '' AND unseen_by LIKE ?"

func unseenPattern(agent AgentID) string { return "%" + agent.marked() + "%" }

// Mentions returns the threads with notes that notify an agent who has not seen them, newest note first.
func (s *Store) Mentions(ctx context.Context, agent AgentID, limit int) ([]Thread, error) {
	var list []Thread
	err := database.Retry(ctx, func() error {
		db := s.db.Read.WithContext(ctx)
		newest := db.Model(&Note{}).Select("thread_id", "max(id) AS note").Where(unseenBy, unseenPattern(agent)).Group("thread_id")
		return db.Model(&Thread{}).Select("threads.*").Joins("JOIN (?) AS unseen ON unseen.thread_id = threads.id", newest).Where(live).
			Order("unseen.note DESC").Limit(limit).Find(&list).Error
	})
	if err != nil {
		return nil, s.failed("read mentions", err)
	}
	for i := range list {
		s.decryptThread(&list[i])
	}
	return list, nil
}

// MarkNotesSeen records that an agent has seen the notes of a thread, and reports whether any notified the agent until now.
func (s *Store) MarkNotesSeen(ctx context.Context, threadID string, agent AgentID) (changed bool, err error) {
	err = database.Retry(ctx, func() error {
		done := s.db.Write.WithContext(ctx).Exec("UPDATE notes SET unseen_by = replace(unseen_by, ?, '') WHERE thread_id = ? AND "+unseenBy,
			agent.marked(), threadID, unseenPattern(agent))
		changed = done.RowsAffected > 0
		return done.Error
	})
	return changed, s.failed("mark notes as seen", err)
}
