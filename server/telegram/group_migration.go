package telegram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/server/outbox"
)

// A group that becomes a supergroup gets a new id, which Telegram reports in the error of the next writing call, and in service
// messages (https://core.telegram.org/bots/api#responseparameters, #message). The bridge uses that id from then on, also after a
// restart, as long as TELEGRAM_CHAT_ID is the old one.

// movedSwitch is the setting with the ids of the group before and after it became a supergroup, separated by a space.
const movedSwitch = "telegram_moved"

// move is the state of the group's ids.
type move struct {
	mu     sync.Mutex
	former int64     // the id in the settings if the group has a new one; else 0
	saved  bool      // stored in the database
	probed time.Time // last time a message from another chat caused a check whether the group has moved
}

// formerChatID returns the group's id from before it became a supergroup, 0 if it is not known to have become one.
func (b *Bridge) formerChatID() int64 {
	b.move.mu.Lock()
	defer b.move.mu.Unlock()
	return b.move.former
}

// followMigration switches to the new id of the operators' group, and stores it.
func (b *Bridge) followMigration(ctx context.Context, to int64) {
	b.setMoved(to, false)
	ctx, cancel := outbox.WithGrace(ctx, lastCall)
	defer cancel()
	b.syncMoved(ctx)
}

func (b *Bridge) setMoved(to int64, saved bool) {
	b.move.mu.Lock()
	defer b.move.mu.Unlock()
	from := int64(b.recipient())
	if to == 0 || to == from {
		return
	}
	b.move.former, b.move.saved = from, saved
	b.chatID.Store(to)
	b.forum.reset()
	b.log.Warn("telegram: the group has become a supergroup; set TELEGRAM_CHAT_ID to its new id", slog.Int64("chat_id", to))
}

// syncMoved stores the group's new id if this process has learned of one; otherwise it checks whether another process, or an earlier run,
// has stored one. It is called regularly; after the id is saved it does nothing.
func (b *Bridge) syncMoved(ctx context.Context) {
	b.move.mu.Lock()
	former, saved := b.move.former, b.move.saved
	b.move.mu.Unlock()
	var err error
	switch {
	case saved:
		return
	case former != 0:
		err = b.store.SetSetting(ctx, movedSwitch, fmt.Sprintf("%d %d", former, int64(b.recipient())))
		if err == nil {
			b.move.mu.Lock()
			b.move.saved = true
			b.move.mu.Unlock()
		}
	default:
		var from, to int64
		var position string
		position, err = b.store.Setting(ctx, movedSwitch)
		if n, _ := fmt.Sscanf(position, "%d %d", &from, &to); n == 2 && from == int64(b.recipient()) {
			b.setMoved(to, true)
		}
	}
	if err != nil && ctx.Err() == nil {
		b.log.Warn("telegram: failed to store or read the new id of the group", slog.Any("error", err))
	}
}

// followed reports whether a call failed because its chat was replaced by another one, which is used from now on.
func (b *Bridge) followed(ctx context.Context, chat chatID, err error) bool {
	var e *apiError
	if !errors.As(err, &e) || e.MigratedTo == 0 {
		return false
	}
	if chat == b.recipient() {
		b.followMigration(ctx, e.MigratedTo)
	}
	return chat != b.recipient()
}

// handleMigration handles a service message which says that the group became a supergroup.
func (b *Bridge) handleMigration(ctx context.Context, m *tele.Message) {
	switch {
	case m.Chat == nil:
	case m.MigrateTo != 0 && m.Chat.ID == int64(b.recipient()):
		b.followMigration(ctx, m.MigrateTo)
	case m.MigrateFrom != 0 && m.MigrateFrom == int64(b.recipient()):
		b.followMigration(ctx, m.Chat.ID)
	}
}

const (
	firstSupergroup = -1_000_000_000_000 // ids of supergroups are below it, ids of groups above
	probeEvery      = time.Minute
)

// askMoved asks Telegram whether the operators' group became the supergroup that a message came from: the service message about it is
// lost if this server was down for a day.
func (b *Bridge) askMoved(ctx context.Context, m *tele.Message) {
	if to := int64(b.recipient()); to >= 0 || to < firstSupergroup || m.Chat == nil || m.Chat.ID > firstSupergroup {
		return
	}
	b.move.mu.Lock()
	soon := b.now().Sub(b.move.probed) < probeEvery
	if !soon {
		b.move.probed = b.now()
	}
	b.move.mu.Unlock()
	if soon {
		return
	}
	chat := b.recipient()
	err := b.api.raw(ctx, callTimeout, "sendChatAction", map[string]string{"chat_id": chat.Recipient(), "action": "typing"}, nil)
	b.followed(ctx, chat, err)
}

// ownChat reports whether an id is the operators' chat, including its id before it became a supergroup.
func (b *Bridge) ownChat(id int64) bool {
	return id != 0 && (id == int64(b.recipient()) || id == b.formerChatID())
}
