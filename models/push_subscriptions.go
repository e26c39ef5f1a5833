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
	AgentID      AgentID // 0 = the owner of the settings

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
	p.EndpointHash, p.CreatedAt, p.ExpiresAt = endpointHash(p.Endpoint), stamp(s.Now()), stamp(p.ExpiresAt)
	err = s.transaction(ctx, func(tx *gorm.DB) error {
		p.ID = 0
		err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "endpoint_hash"}},
			DoUpdates: clause.AssignmentColumns([]string{"sealed", "locale", "session_id", "expires_at", "created_at", "agent_id"}),
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

// dropPushOf deletes the subscriptions of an agent. Those of earlier versions name none.
func dropPushOf(tx *gorm.DB, a Agent) error {
	db := tx.Where("agent_id = ?", a.ID)
	if madeFromSettings(a) {
		db = db.Or("agent_id IS NULL")
	}
	return db.Delete(&PushSubscription{}).Error
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

func (consolesRow) TableName() string { return "consoles" }
