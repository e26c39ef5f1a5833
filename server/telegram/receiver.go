package telegram

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
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
	// WebhookPath is where Telegram posts updates.
	WebhookPath = "/telegram/webhook"

	secretHeader = "X-Telegram-Bot-Api-Secret-Token"
	maxUpdate    = 1 << 20
	updatesKept  = 7 * 24 * time.Hour // Telegram delivers none that is older than a day
	actEvery     = 500 * time.Millisecond
	actTries     = 5
	receiveRetry = 5 * time.Second // the longest wait when Telegram cannot be reached
	outageAfter  = 3               // failures in a row, after which an outage is logged
)

// updateKinds are what is asked for.
var updateKinds = []string{"message", "edited_message", "callback_query", "my_chat_member", "message_reaction"}

// webhookAddress is where Telegram is told to post; base may name a folder that a proxy hands on.
func webhookAddress(base string) string {
	base = strings.TrimSuffix(base, "/")
	if base == "" || strings.HasSuffix(base, WebhookPath) {
		return base
	}
	return base + WebhookPath
}

// receive gets updates and records them, until ctx ends.
func (b *Bridge) receive(ctx context.Context) {
	if b.webhook != "" {
		b.setWebhook(ctx)
		return
	}
	b.poll(ctx)
}

// setWebhook tells Telegram where to post, until that worked. One connection, so that updates come in order.
func (b *Bridge) setWebhook(ctx context.Context) {
	params := map[string]any{"url": b.webhook, "secret_token": b.secret, "max_connections": 1, "allowed_updates": updateKinds}
	for try := 0; ctx.Err() == nil; try++ {
		err := b.api.raw(ctx, callTimeout, "setWebhook", params, nil)
		b.state.noted("receive", err)
		if err == nil {
			return
		}
		b.log.Warn("telegram: the webhook is not set yet", slog.Any("error", err))
		_ = outbox.Sleep(ctx, outbox.Backoff(try, time.Minute)) // ctx is looked at next
	}
}

// poll asks for updates again and again. The first question names no offset: what was recorded before is known by its number.
func (b *Bridge) poll(ctx context.Context) {
	offset, unhooked, failures := int64(0), false, 0
	for ctx.Err() == nil {
		var raw []json.RawMessage
		wait := pollWait
		if failures > 0 {
			wait = 0 // so that Telegram's return is noticed at once, and not when somebody writes
		}
		err := b.api.raw(ctx, wait+callTimeout, "getUpdates",
			map[string]any{"offset": offset, "timeout": int(wait / time.Second), "allowed_updates": updateKinds}, &raw)
		if err == nil {
			var next int64
			if next, err = b.keep(ctx, raw); err == nil && next > 0 {
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
			b.state.conflicted.Store(b.now().UnixNano())
		}
		if taken && !unhooked {
			unhooked = true // a webhook that was set when this server had one; after that it is somebody else's
			if b.api.raw(ctx, callTimeout, "deleteWebhook", struct{}{}, nil) == nil {
				continue
			}
		}
		if failures++; failures == outageAfter || failures%100 == 0 {
			b.log.Warn("telegram: nothing can be received", slog.Any("error", err))
		}
		_ = outbox.Sleep(ctx, outbox.Backoff(failures-1, receiveRetry)) // ctx is looked at next
	}
}

// keep records updates and returns the offset that confirms them.
func (b *Bridge) keep(ctx context.Context, raw []json.RawMessage) (next int64, err error) {
	var list []models.ReceivedUpdate
	for _, text := range raw {
		var u struct {
			ID int64 `json:"update_id"`
		}
		if err := json.Unmarshal(text, &u); err != nil || u.ID <= 0 {
			b.log.Warn("telegram: an update without number was left out")
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
		select {
		case b.arrived <- struct{}{}:
		default:
		}
	}
	return next, nil
}

// ServeHTTP takes updates at the webhook. It answers with success once the update is stored; else Telegram brings it again.
func (b *Bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.webhook == "" {
		http.NotFound(w, r)
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(secretHeader)), []byte(b.secret)) != 1 {
		if now := b.now().UnixNano(); now-b.forged.Swap(now) > int64(time.Minute) { // whoever floods it fills no log
			b.log.Warn("telegram: somebody without the secret called the webhook", slog.String("address", r.RemoteAddr))
		}
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpdate))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	b.state.heard()
	if _, err := b.keep(r.Context(), []json.RawMessage{text}); err != nil {
		b.log.Error("telegram: an update could not be stored; Telegram will bring it again", slog.Any("error", err))
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
}

// actOn acts on one update. What it does may be done twice without harm.
func (b *Bridge) actOn(ctx context.Context, u models.ReceivedUpdate) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library's reading of an odd update
			b.log.Error("telegram: an update made the library fail", slog.Int64("update_id", u.UpdateID), slog.String("stack", string(debug.Stack())))
			err = nil
		}
	}()
	var update tele.Update
	if err := json.Unmarshal([]byte(u.Payload), &update); err != nil {
		b.log.Error("telegram: an update cannot be read", slog.Int64("update_id", u.UpdateID))
		return nil
	}
	switch {
	case update.Message != nil:
		return b.hear(ctx, update.Message, u.Tries+1 >= actTries)
	case update.EditedMessage != nil:
		return b.hearEdit(ctx, update.EditedMessage, u.Tries+1 >= actTries)
	case update.Callback != nil:
		return b.pressed(ctx, update.Callback)
	case update.MessageReaction != nil:
		return b.reacted(ctx, update.MessageReaction)
	case update.MyChatMember != nil:
		return b.regained(ctx, update.MyChatMember)
	}
	return nil
}
