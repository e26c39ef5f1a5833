package models

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

const (
	// TelegramCodeLife is how long a code that links a Telegram account is valid.
	TelegramCodeLife = 10 * time.Minute
	// telegramBinding, followed by an agent's id, is the binding of such a code.
	telegramBinding    = "telegram "
	telegramCodeLength = 10 // characters of base32: 50 bits
)

// ErrTelegramTaken means that a Telegram account is linked to another agent.
var ErrTelegramTaken = fmt.Errorf("%w: an agent with this Telegram account", ErrExists)

// TelegramCode stores a code with which an agent links a Telegram account, once. It replaces the agent's earlier code. Only a hash of it is
// stored.
func (s *Store) TelegramCode(ctx context.Context, agent AgentID) (code string, expires time.Time, err error) {
	code, expires = rand.Text()[:telegramCodeLength], s.Now().Add(TelegramCodeLife)
	_, err = s.SaveCode(ctx, telegramCodeHash(code), telegramBinding+strconv.FormatInt(int64(agent), 10), expires)
	return code, expires, err
}

func telegramCodeHash(code string) []byte {
	sum := sha256.Sum256([]byte(strings.ToUpper(strings.TrimSpace(code))))
	return sum[:]
}

// LinkTelegram links a Telegram account to the agent who has a valid code, which is used up. It returns ErrNotFound if there is none, or
// ErrTelegramTaken.
func (s *Store) LinkTelegram(ctx context.Context, code string, telegramID int64) (Agent, error) {
	return s.changeAgent(ctx, "link a Telegram account", func(tx *gorm.DB, list []Agent) (Agent, error) {
		var used []OneTimeCode
		err := tx.Clauses(clause.Returning{}).Where("hash = ? AND binding LIKE ? AND expires_at > ?", telegramCodeHash(code), telegramBinding+"%", stamp(s.Now())).
			Delete(&used).Error
		if err != nil {
			return Agent{}, err
		}
		for _, row := range used {
			id := strings.TrimPrefix(row.Binding, telegramBinding)
			if a, found := findAgent(list, func(a Agent) bool { return strconv.FormatInt(a.ID, 10) == id }); found && a.Enabled() {
				a.TelegramID = strconv.FormatInt(telegramID, 10)
				return a, nil
			}
		}
		return Agent{}, ErrNotFound
	})
}

// TelegramAgent returns the agent, perhaps a disabled one, that a Telegram account is linked to. It answers from memory, like [Store.Agent].
func (s *Store) TelegramAgent(telegramID int64) (Agent, bool) {
	id := strconv.FormatInt(telegramID, 10)
	return s.agents.find(func(a Agent) bool { return a.TelegramID == id })
}
