package models

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// keyedNames computes keyed hashes of texts that are stored encrypted, so that rows can be looked up by them.
type keyedNames struct{ keys [][]byte } // one per secret: new hashes use the first key, lookups match any of them

// newKeyedNames derives the keys for one purpose (HKDF-SHA256, RFC 5869). The purpose of existing hashes must never change.
func newKeyedNames(secrets []string, purpose string) (keyedNames, error) {
	var n keyedNames
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, 32)
		if err != nil {
			return n, fmt.Errorf("models: derive the key of %s: %w", purpose, err)
		}
		n.keys = append(n.keys, key)
	}
	return n, nil
}

// all returns the hash of a text under each key, in the order of the keys: HMAC-SHA256 of its lower case, truncated to 128 bits.
func (n keyedNames) all(text string) []string {
	names := make([]string, len(n.keys))
	for i, key := range n.keys {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(strings.ToLower(text)))
		names[i] = hex.EncodeToString(h.Sum(nil)[:16])
	}
	return names
}

// name returns the keyed hash to store with an encrypted text; "" for an empty text.
func (n keyedNames) name(text string) string {
	if text == "" {
		return ""
	}
	return n.all(text)[0]
}

// MaxEarlier is the maximum number of other threads in a Person.
const MaxEarlier = 20

// Person summarizes all threads of the person that a thread is with.
type Person struct {
	Earlier   []Thread // their other listed threads, newest message first
	FirstSeen time.Time
	Talks     int64 // sum over all their threads

	ExternalID string // user id on the embedding site; "" = anonymous
}

// Person finds the threads of the same person as a thread: those with the same user, phone number or e-mail address.
func (s *Store) Person(ctx context.Context, t Thread) (Person, error) {
	p := Person{FirstSeen: t.CreatedAt, Talks: t.Talks}
	err := again(ctx, func() error {
		var user User
		if err := s.read.WithContext(ctx).Where("id = ?", t.UserID).Take(&user).Error; err != nil {
			return err
		}
		if user.ExternalID != nil {
			p.ExternalID = *user.ExternalID
		}
		theirs := func() *gorm.DB {
			return s.read.WithContext(ctx).Model(&Thread{}).Where("id IN (?)", s.sameQuery(ctx, t)).Where("id <> ? AND last_message_at IS NOT NULL", t.ID)
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
		var talks int64
		err := theirs().Select("sum(talks)").Scan(&talks).Error
		p.Talks = t.Talks + talks
		return err
	})
	if err != nil {
		return Person{}, s.failed("find the threads of a person", err)
	}
	p.FirstSeen = p.FirstSeen.UTC()
	for i := range p.Earlier {
		s.readyThread(&p.Earlier[i])
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
		args = append(args, s.emails.all(t.Email))
	}
	return s.read.WithContext(ctx).Raw(union, args...)
}

// rekeyEmails rehashes with the current key the e-mail addresses that were hashed with an earlier one.
func (s *Store) rekeyEmails(ctx context.Context) error {
	last := ""
	for {
		var list []threadRow
		err := s.read.WithContext(ctx).Select("id", "email", "email_hash").Where("id > ? AND email <> ''", last).Order("id").Limit(rekeyBatch).Find(&list).Error
		if err != nil || len(list) == 0 {
			return err
		}
		last = list[len(list)-1].ID
		start := time.Now()
		err = s.transaction(ctx, func(tx *gorm.DB) error {
			for _, row := range list {
				email, readable := with(s.texts.keys, row.Email)
				name := s.emails.name(email)
				if !readable || name == row.EmailHash {
					continue
				}
				if err := tx.Exec("UPDATE threads SET email_hash = ? WHERE id = ? AND email = ?", name, row.ID, row.Email).Error; err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = pause(ctx, time.Since(start))
		}
		if err != nil {
			return err
		}
	}
}
