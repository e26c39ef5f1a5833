package models

import (
	"context"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sohbet/models/database"
	"sohbet/models/encryption"
)

// AddressBlockLife is how long the block of an address lasts. Addresses are reassigned, so a permanent block would eventually hit a
// different person. The block of the visitor does not expire.
const AddressBlockLife = 30 * 24 * time.Hour

// maxBlocks is the maximum number of blocks that Blocks returns.
const maxBlocks = 1000

// Block blocks the visitor of a thread, and every visitor from the same address if AddressHash is set.
type Block struct {
	ThreadID     string `gorm:"primaryKey"`
	AddressHash  string
	AddressUntil *time.Time
	CreatedAt    time.Time
	AgentID      AgentID // the agent who blocked; 0 = the team
	DisplayName  string  `gorm:"->;-:migration"` // the thread's; empty when the thread was deleted
}

// blocks is this process's in-memory copy of the table: it is checked for every message.
type blocks struct {
	// hasher hashes addresses: the IPv4 space is small enough to enumerate, so a hash without a key would reveal them. An address block
	// lapses when the secret it was made under is removed.
	hasher *encryption.Hasher

	loading sync.Mutex // held while reading and replacing, so that an older reading does not replace a newer one

	mu        sync.RWMutex
	threads   map[string]struct{}
	addresses map[string]time.Time // hash → end
}

func (b *blocks) replace(list []Block) {
	threads, addresses := make(map[string]struct{}, len(list)), make(map[string]time.Time)
	for _, one := range list {
		threads[one.ThreadID] = struct{}{}
		if one.AddressHash != "" && one.AddressUntil != nil && one.AddressUntil.After(addresses[one.AddressHash]) {
			addresses[one.AddressHash] = *one.AddressUntil
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.threads, b.addresses = threads, addresses
}

// Blocked reports whether the visitor of a thread or an address is blocked. Either may be empty. It answers from memory; changes by
// another process are visible here within pollInterval.
func (s *Store) Blocked(threadID, address string) bool {
	b := s.blocks
	b.mu.RLock()
	defer b.mu.RUnlock()
	if _, found := b.threads[threadID]; found {
		return true
	}
	if len(b.addresses) == 0 || address == "" {
		return false
	}
	now := s.Now()
	for _, hash := range b.hasher.All(address) {
		if until, found := b.addresses[hash]; found && now.Before(until) {
			return true
		}
	}
	return false
}

// Block blocks a thread's visitor and, if address is set, every visitor from the address the visitor last connected from. It replaces an
// earlier block. by is the agent who blocks; 0 = the team. When the address is not known the result has no AddressHash. It returns
// ErrNotFound for a thread that is not stored.
func (s *Store) Block(ctx context.Context, threadID string, address bool, by AgentID) (Block, error) {
	now := stamp(s.Now())
	var made Block
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		var t Thread
		if err := tx.Select("id", "display_name", "address_hash").Where("id = ?", threadID).Where(live).Take(&t).Error; err != nil {
			return err
		}
		made = Block{ThreadID: threadID, CreatedAt: now, AgentID: by}
		if address && t.AddressHash != "" {
			until := now.Add(AddressBlockLife)
			made.AddressHash, made.AddressUntil = t.AddressHash, &until
		}
		err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "thread_id"}},
			DoUpdates: clause.AssignmentColumns([]string{"address_hash", "address_until", "created_at", "agent_id"}),
		}).Create(&made).Error
		if err != nil {
			return err
		}
		made.DisplayName = t.DisplayName
		if err := setBlocked(tx, threadID, true); err != nil {
			return err
		}
		return markChanged(tx, stateBlocks)
	})
	s.settled(threadID, err)
	if err != nil {
		return Block{}, s.failed("block a visitor", err)
	}
	s.notify(TopicSecurity)
	s.reload(ctx, s.LoadBlocks)
	return made, nil
}

// Unblock removes the block of a visitor, and of their address if it was blocked with them. It does nothing if there is no block.
func (s *Store) Unblock(ctx context.Context, threadID string) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := tx.Where("thread_id = ?", threadID).Delete(&Block{}).Error; err != nil {
			return err
		}
		if err := setBlocked(tx, threadID, false); err != nil {
			return err
		}
		return markChanged(tx, stateBlocks)
	})
	s.settled(threadID, err)
	if err != nil {
		return s.failed("unblock a visitor", err)
	}
	s.notify(TopicSecurity)
	s.reload(ctx, s.LoadBlocks)
	return nil
}

func setBlocked(tx *gorm.DB, threadID string, on bool) error {
	return tx.Model(&Thread{}).Where("id = ?", threadID).Updates(map[string]any{"blocked": on, "rev": gorm.Expr("rev + 1")}).Error
}

// Blocks returns the newest maxBlocks blocks, newest first.
func (s *Store) Blocks(ctx context.Context) ([]Block, error) {
	var list []Block
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Model(&Block{}).Select("blocks.*, threads.display_name").
			Joins("LEFT JOIN threads ON threads.id = blocks.thread_id AND " + live).
			Order("blocks.created_at DESC, blocks.thread_id").Limit(maxBlocks).Find(&list).Error
	})
	for i := range list {
		list[i].CreatedAt = list[i].CreatedAt.UTC()
	}
	return list, s.failed("list blocks", err)
}

// BlockedBy returns the agent who blocked the visitor of a thread; 0 = the team, or there is no block.
func (s *Store) BlockedBy(ctx context.Context, threadID string) (AgentID, error) {
	var list []Block
	err := database.Retry(ctx, func() error {
		return s.db.Read.WithContext(ctx).Select("agent_id").Where("thread_id = ?", threadID).Limit(1).Find(&list).Error
	})
	if err != nil || len(list) == 0 {
		return 0, s.failed("read a block", err)
	}
	return list[0].AgentID, nil
}

// LoadBlocks reloads from the table what [Store.Blocked] answers from.
func (s *Store) LoadBlocks(ctx context.Context) error {
	s.blocks.loading.Lock()
	defer s.blocks.loading.Unlock()
	var list []Block
	err := database.Retry(ctx, func() error { return s.db.Read.WithContext(ctx).Omit("display_name").Find(&list).Error })
	if err == nil {
		s.blocks.replace(list)
	}
	return s.failed("read blocks", err)
}

// RecordAddress stores, as a keyed hash, the address that a thread's visitor last connected from, so that it can be blocked after the
// visitor has left. It writes only if the address changed.
func (s *Store) RecordAddress(ctx context.Context, threadID, address string) error {
	hash := s.blocks.hasher.Hash(address)
	t, err := s.Thread(ctx, threadID)
	if err != nil || hash == "" || t.AddressHash == hash {
		return err
	}
	err = s.db.Write.WithContext(ctx).Model(&Thread{}).Where("id = ?", threadID).Update("address_hash", hash).Error
	s.cache.changed(threadID)
	return s.failed("note an address", err)
}
