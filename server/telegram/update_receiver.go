package telegram

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/outbox"
)

const (
	// WebhookPath is the path to which Telegram posts updates.
	WebhookPath = "/telegram/webhook"

	secretHeader = "X-Telegram-Bot-Api-Secret-Token"
	maxUpdate    = 1 << 20
	updatesKept  = 7 * 24 * time.Hour // Telegram delivers none that are older than a day
	actEvery     = 500 * time.Millisecond
	actTries     = 5
	receiveRetry = 5 * time.Second // maximum backoff when Telegram is unreachable
	outageAfter  = 3               // consecutive failures after which an outage is logged
)

// updateKinds are the requested kinds of updates.
var updateKinds = []string{"message", "edited_message", "callback_query", "my_chat_member", "message_reaction"}

// webhookAddress returns the URL of the webhook; base may have a path that a proxy strips.
func webhookAddress(base string) string {
	base = strings.TrimSuffix(base, "/")
	if base == "" || strings.HasSuffix(base, WebhookPath) {
		return base
	}
	return base + WebhookPath
}

// receive receives and records updates, until ctx ends.
func (b *Bridge) receive(ctx context.Context) {
	if b.webhook != "" {
		b.setWebhook(ctx)
		return
	}
	b.poll(ctx)
}

// setWebhook sets the webhook, retrying until it succeeds. It allows only one connection, so that updates arrive in order.
func (b *Bridge) setWebhook(ctx context.Context) {
	params := map[string]any{"url": b.webhook, "secret_token": b.secret, "max_connections": 1, "allowed_updates": updateKinds}
	for try := 0; ctx.Err() == nil; try++ {
		err := b.api.raw(ctx, callTimeout, "setWebhook", params, nil)
		b.state.noted("receive", err)
		if err == nil {
			return
		}
		b.log.Warn("telegram: failed to set the webhook; retrying", slog.Any("error", err))
		_ = outbox.Sleep(ctx, outbox.Backoff(try, time.Minute)) // ctx is checked next
	}
}

// poll polls for updates. The first call has no offset: updates recorded before are recognized by their ids.
func (b *Bridge) poll(ctx context.Context) {
	offset, unhooked, failures := int64(0), false, 0
	for ctx.Err() == nil {
		var raw []json.RawMessage
		wait := pollWait
		if failures > 0 {
			wait = 0 // so that the end of an outage is noticed immediately, and not with the next message
		}
		err := b.api.raw(ctx, wait+callTimeout, "getUpdates",
			map[string]any{"offset": offset, "timeout": int(wait / time.Second), "allowed_updates": updateKinds}, &raw)
		if err == nil {
			var next int64
			if next, err = b.recordUpdates(ctx, raw); err == nil && next > 0 {
				offset = next
			}
		}
		if ctx.Err() != nil {
			return
		}
		b.state.noted("receive", err)
		if err == nil {
			failures = 0
			continue
		}
		b.state.failed.Add(1)
		var e *apiError
		taken := errors.As(err, &e) && e.Code == http.StatusConflict
		if taken {
			now := b.now()
			b.state.conflicted.Store(&now)
		}
		if taken && !unhooked {
			unhooked = true // removes a webhook from an earlier configuration, once; if it returns, another program has set it
			if b.api.raw(ctx, callTimeout, "deleteWebhook", struct{}{}, nil) == nil {
				continue
			}
		}
		if failures++; failures == outageAfter || failures%100 == 0 {
			b.log.Warn("telegram: failed to receive updates", slog.Any("error", err))
		}
		_ = outbox.Sleep(ctx, outbox.Backoff(failures-1, receiveRetry)) // ctx is checked next
	}
}

// recordUpdates records updates and returns the offset that confirms them.
func (b *Bridge) recordUpdates(ctx context.Context, raw []json.RawMessage) (next int64, err error) {
	var list []models.ReceivedUpdate
	for _, text := range raw {
		var u struct {
			ID int64 `json:"update_id"`
		}
		if err := json.Unmarshal(text, &u); err != nil || u.ID <= 0 {
			b.log.Warn("telegram: ignored an update without an id")
			continue
		}
		next = max(next, u.ID+1)
		list = append(list, models.ReceivedUpdate{BotID: b.botID, UpdateID: u.ID, Payload: string(text), ReceivedAt: b.now()})
	}
	if err := b.store.RecordUpdates(ctx, list); err != nil {
		return 0, err
	}
	b.state.received.Add(int64(len(list)))
	if len(list) > 0 {
		b.arrived.Set()
	}
	return next, nil
}

// ServeHTTP handles updates at the webhook. It responds with success once the update is stored; otherwise Telegram sends it again.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.webhook == "" {
		http.NotFound(w, r)
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(secretHeader)), []byte(b.secret)) != 1 {
		if now := b.now().UnixNano(); time.Duration(now-b.forged.Swap(now)).Abs() > time.Minute { // limited to one line per minute, so that a flood cannot fill the log
			b.log.Warn("telegram: the webhook was called without the secret", slog.String("address", r.RemoteAddr))
		}
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpdate))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	b.state.updateReceived()
	if _, err := b.recordUpdates(r.Context(), []json.RawMessage{text}); err != nil {
		b.log.Error("telegram: failed to store an update; Telegram will send it again", slog.Any("error", err))
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
}

// actOn processes one update. It must be idempotent.
func (b *Bridge) actOn(ctx context.Context, u models.ReceivedUpdate) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics on a malformed update
			b.log.Error("telegram: panic while processing an update", slog.Int64("update_id", u.UpdateID), slog.String("stack", string(debug.Stack())))
			err = nil
		}
	}()
	var update tele.Update
	if err := json.Unmarshal([]byte(u.Payload), &update); err != nil {
		b.log.Error("telegram: failed to decode an update", slog.Int64("update_id", u.UpdateID))
		return nil
	}
	switch {
	case update.Message != nil:
		return b.handleMessage(ctx, update.Message, u.Tries+1 >= actTries)
	case update.EditedMessage != nil:
		return b.handleEdit(ctx, update.EditedMessage, u.Tries+1 >= actTries)
	case update.Callback != nil:
		return b.pressed(ctx, update.Callback)
	case update.MessageReaction != nil:
		return b.reacted(ctx, update.MessageReaction)
	case update.MyChatMember != nil:
		return b.rightsRegained(ctx, update.MyChatMember)
	}
	return nil
}

// rightsRegained handles a change of the bot's permissions in the operators' chat: queued messages are retried immediately.
func (b *Bridge) rightsRegained(ctx context.Context, u *tele.ChatMemberUpdate) error {
	if u.Chat == nil || !b.ownChat(u.Chat.ID) {
		return nil
	}
	b.forgetForum()
	if err := b.store.OutboxRetry(ctx); err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}
