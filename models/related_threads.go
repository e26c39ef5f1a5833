package models

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// MaxEarlier is the maximum number of other threads in a Person.
const MaxEarlier = 20

// Person summarizes all threads of the person that a thread is with.
type Person struct {
	Earlier   []Thread // their other listed threads, newest message first
	FirstSeen time.Time
	Sessions  int64 // sum over all their threads

	ExternalID string // user id on the embedding site; "" = anonymous
}

// Person finds the threads of the same person as a thread: those with the same user, phone number or e-mail address.
func (s *Store) Person(ctx context.Context, t Thread) (Person, error) {
	p := Person{FirstSeen: t.CreatedAt, Sessions: t.Sessions}
	err := database.Retry(ctx, func() error {
		var user User
		if err := s.db.Read.WithContext(ctx).Where("id = ?", t.UserID).Take(&user).Error; err != nil {
			return err
		}
		if user.ExternalID != nil {
			p.ExternalID = *user.ExternalID
		}
		theirs := func() *gorm.DB {
			return s.db.Read.WithContext(ctx).Model(&Thread{}).Where("id IN (?)", s.sameQuery(ctx, t)).Where("id <> ? AND last_message_at IS NOT NULL", t.ID)
		}
		if err := theirs().Order("last_message_at DESC, id DESC").Limit(MaxEarlier).Find(&p.Earlier).Error; err != nil || len(p.Earlier) == 0 {
			return err
		}
		var first Thread
		if err := theirs().Select("created_at").Order("created_at").Limit(1).Take(&first).Error; err != nil {
			return err
		}
		if first.CreatedAt.Before(p.FirstSeen) {
			p.FirstSeen = first.CreatedAt
		}
		var sessions int64
		err := theirs().Select("sum(talks)").Scan(&sessions).Error
		p.Sessions = t.Sessions + sessions
		return err
	})
	if err != nil {
		return Person{}, s.failed("find the threads of a person", err)
	}
	p.FirstSeen = p.FirstSeen.UTC()
	for i := range p.Earlier {
		s.decryptThread(&p.Earlier[i])
	}
	return p, nil
}

// sameQuery selects the ids of the threads of the same person. It is a union so that each part uses an index.
func (s *Store) sameQuery(ctx context.Context, t Thread) *gorm.DB {
	union, args := "SELECT id FROM threads WHERE user_id = ?", []any{t.UserID}
	if t.PhoneNumber != "" {
		union += " UNION ALL SELECT t.id FROM threads t JOIN users u ON u.id = t.user_id WHERE u.phone_number = ?"
		args = append(args, t.PhoneNumber)
	}
	if t.Email != "" {
		union += " UNION ALL SELECT id FROM threads WHERE email_hash IN ? AND email_hash <> ''" // the condition of the partial index idx_threads_email_hash
		args = append(args, s.emails.All(strings.ToLower(t.Email)))
	}
	return s.db.Read.WithContext(ctx).Raw(union, args...)
}
