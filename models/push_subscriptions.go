package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
)

// PushSubscription is the Web Push subscription of an agent's browser. It lives as long as the session in which it was created.
type PushSubscription struct {
	ID           int64
	EndpointHash string // hash of the endpoint URL; unique
	Sealed       string // endpoint URL and keys, encrypted
	Locale       string
	SessionID    string
	ExpiresAt    time.Time
	CreatedAt    time.Time

	PushAddress `gorm:"-"`
}

// PushAddress holds what a browser's push service issued (RFC 8030, RFC 8291). It is a secret: its holder can send notifications to the
// agent.
type PushAddress struct {
	Endpoint string `json:"endpoint"`
	P256DH   string `json:"p256dh"`
	Auth     string `json:"auth"`
	Contact  string `json:"contact"` // mailto: or https: address at which the push service can contact the operator (VAPID sub)
}

// maxSubscriptions is the maximum number of subscriptions: beyond it a new one replaces the oldest.
const maxSubscriptions = 200

func endpointHash(endpoint string) string {
	sum := sha256.Sum256([]byte(endpoint))
	return hex.EncodeToString(sum[:])
}

// SavePush stores a subscription, or replaces the one with its endpoint.
func (s *Store) SavePush(ctx context.Context, p PushSubscription) error {
	for _, err := range [...]error{checkText("locale", p.Locale, MaxLocale), checkText("session id", p.SessionID, 64)} {
		if err != nil {
			return err
		}
	}
	text, err := json.Marshal(p.PushAddress)
	if err != nil {
		return fmt.Errorf("models: store a push subscription: %w", err)
	}
	if p.Sealed, err = s.cipher.Seal(string(text)); err != nil {
		return err
	}
	p.EndpointHash, p.CreatedAt, p.ExpiresAt = endpointHash(p.Endpoint), stamp(time.Now()), stamp(p.ExpiresAt)
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		p.ID = 0
		err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "endpoint_hash"}},
			DoUpdates: clause.AssignmentColumns([]string{"sealed", "locale", "session_id", "expires_at", "created_at"}),
		}).Create(&p).Error
		if err != nil {
			return err
		}
		newest := tx.Session(&gorm.Session{NewDB: true}).Model(&PushSubscription{}).Select("id").Order("created_at DESC, id DESC").Limit(maxSubscriptions)
		return tx.Where("id NOT IN (?)", newest).Delete(&PushSubscription{}).Error
	})
	return s.failed("store a push subscription", err)
}

// DropPush deletes the subscription of an endpoint, if there is one.
func (s *Store) DropPush(ctx context.Context, endpoint string) error {
	err := database.Retry(ctx, func() error {
		return s.db.Write.WithContext(ctx).Where("endpoint_hash = ?", endpointHash(endpoint)).Delete(&PushSubscription{}).Error
	})
	return s.failed("delete a push subscription", err)
}

// PushSubscriptions returns the subscriptions whose session is valid at a time. Subscriptions that no key decrypts are left out.
func (s *Store) PushSubscriptions(ctx context.Context, now time.Time) ([]PushSubscription, error) {
	var list []PushSubscription
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("expires_at > ?", stamp(now)).Order("id").Find(&list).Error
	})
	if err != nil {
		return nil, s.failed("read push subscriptions", err)
	}
	open := list[:0]
	for _, p := range list {
		text, ok := s.cipher.Open(p.Sealed)
		if ok && json.Unmarshal([]byte(text), &p.PushAddress) == nil {
			open = append(open, p)
		}
	}
	return open, nil
}

// TrimPush deletes subscriptions whose session has ended, and the console records of processes that stopped renewing them.
func (s *Store) TrimPush(ctx context.Context, now time.Time) error {
	err := database.Retry(ctx, func() error {
		err := s.db.Write.WithContext(ctx).Where("expires_at <= ?", stamp(now)).Delete(&PushSubscription{}).Error
		if err != nil {
			return err
		}
		return s.db.Write.WithContext(ctx).Where("seen_at <= ?", stamp(now.Add(-ConsolesSeen))).Delete(&consolesRow{}).Error
	})
	return s.failed("trim push subscriptions", err)
}

// serverKey is a key pair by which other services identify this server.
type serverKey struct {
	ID          int64
	Name        string
	PublicKey   string
	PrivateSeal string // encrypted
	CreatedAt   time.Time
}

// ServerKey returns the key pair of that name, generating it on the first call. It never changes.
func (s *Store) ServerKey(ctx context.Context, name string, generate func() (private, public string, err error)) (private, public string, err error) {
	var row serverKey
	find := func() (bool, error) {
		var rows []serverKey
		err := database.Retry(ctx, func() error { return s.db.Write.WithContext(ctx).Where("name = ?", name).Limit(1).Find(&rows).Error })
		if len(rows) == 1 {
			row = rows[0]
		}
		return len(rows) == 1, err
	}
	found, err := find()
	if err == nil && !found {
		if private, public, err = generate(); err != nil {
			return "", "", err
		}
		sealed, err := s.cipher.Seal(private)
		if err != nil {
			return "", "", err
		}
		made := serverKey{Name: name, PublicKey: public, PrivateSeal: sealed, CreatedAt: stamp(time.Now())}
		err = database.Retry(ctx, func() error { // another process may insert it at the same time
			return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoNothing: true}).Create(&made).Error
		})
		if err != nil {
			return "", "", s.failed("store a key", err)
		}
		if _, err = find(); err != nil {
			return "", "", s.failed("read a key", err)
		}
	}
	if err != nil {
		return "", "", s.failed("read a key", err)
	}
	private, ok := s.cipher.Open(row.PrivateSeal)
	if !ok {
		return "", "", fmt.Errorf("models: the key %s cannot be decrypted: no key in SECRET_KEY decrypts it", name)
	}
	return private, row.PublicKey, nil
}

// consolesRow records that a process has a visible console connected.
type consolesRow struct {
	Process string `gorm:"primaryKey"`
	SeenAt  time.Time
}

func (consolesRow) TableName() string { return "consoles" }

// ConsolesSeen is how long a process's record of visible consoles is valid; it has to be renewed before that.
const ConsolesSeen = time.Minute

// RecordConsoles records, for the other processes, whether this process has a visible console at a time.
func (s *Store) RecordConsoles(ctx context.Context, process string, any bool, now time.Time) error {
	err := database.Retry(ctx, func() error {
		if !any {
			return s.db.Write.WithContext(ctx).Where("process = ?", process).Delete(&consolesRow{}).Error
		}
		return s.db.Write.WithContext(ctx).Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "process"}}, DoUpdates: clause.AssignmentColumns([]string{"seen_at"}),
		}).Create(&consolesRow{Process: process, SeenAt: stamp(now)}).Error
	})
	return s.failed("note consoles", err)
}

// ConsolesElsewhere reports whether another process has a visible console.
func (s *Store) ConsolesElsewhere(ctx context.Context, process string, now time.Time) (bool, error) {
	var rows []consolesRow
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Where("process <> ? AND seen_at > ?", process, stamp(now.Add(-ConsolesSeen))).Limit(1).Find(&rows).Error
	})
	return len(rows) > 0, s.failed("look for consoles", err)
}
