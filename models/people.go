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

// keyedNames are the names under which texts are looked up that are stored encrypted, which finds nothing.
type keyedNames struct{ keys [][]byte } // one for each secret: the first writes, all of them match

// newKeyedNames derives the keys for one purpose (HKDF-SHA256, RFC 5869). A purpose must never change.
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

// all are the names of a text, that of the first key first: HMAC-SHA256, cut to 128 bits, of its lower case.
func (n keyedNames) all(text string) []string {
	names := make([]string, len(n.keys))
	for i, key := range n.keys {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(strings.ToLower(text)))
		names[i] = hex.EncodeToString(h.Sum(nil)[:16])
	}
	return names
}

// name is the keyed hash stored with an encrypted text; "" for none.
func (n keyedNames) name(text string) string {
	if text == "" {
		return ""
	}
	return n.all(text)[0]
}

// MaxEarlier is how many of somebody's other threads Person lists.
const MaxEarlier = 20

// Person is what is known of whoever a thread is with.
type Person struct {
	Earlier   []Thread // their other listed threads, newest message first
	FirstSeen time.Time
	Talks     int64 // of all their threads

	ExternalID string // under which the site knows them; "" = it does not
}

// Person finds the threads that are with the same person as a thread: of the same user, phone number or e-mail address.
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
		return Person{}, s.failed("find somebody's threads", err)
	}
	p.FirstSeen = p.FirstSeen.UTC()
	for i := range p.Earlier {
		s.readyThread(&p.Earlier[i])
	}
	return p, nil
}

// sameQuery selects the ids of the threads with the same person, each by an index of its own.
func (s *Store) sameQuery(ctx context.Context, t Thread) *gorm.DB {
	union, args := "SELECT id FROM threads WHERE user_id = ?", []any{t.UserID}
	if t.PhoneNumber != "" {
		union += " UNION ALL SELECT t.id FROM threads t JOIN users u ON u.id = t.user_id WHERE u.phone_number = ?"
		args = append(args, t.PhoneNumber)
	}
	if t.Email != "" {
		union += " UNION ALL SELECT id FROM threads WHERE email_hash IN ? AND email_hash <> ''" // the literal condition of idx_threads_email_hash
		args = append(args, s.emails.all(t.Email))
	}
	return s.read.WithContext(ctx).Raw(union, args...)
}

// rekeyEmails names e-mail addresses anew that another key named.
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
