package telegram

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// forum caches whether the chat has topics. A refresh does not block callers while a value is cached.
type forum struct {
	mu     sync.Mutex
	known  bool
	on     bool // the chat has topics and the bot may manage them
	asked  time.Time
	answer chan struct{} // closed when the request in progress is answered; nil = none
	err    error         // of the last request
}

// topics reports whether the chat has topics that the bot may manage, as last cached; false before the first answer.
func (f *forum) topics() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

// reset clears the cache, as for another chat.
func (f *forum) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known, f.asked = false, time.Time{}
}

const forumKept = 10 * time.Minute

// topics reports whether threads get topics of their own. It returns an error if that is not known and Telegram does not respond.
func (b *Bridge) topics(ctx context.Context) (bool, error) {
	f := &b.forum
	f.mu.Lock()
	fresh := f.known && b.now().Sub(f.asked) < forumKept
	if !fresh && f.answer == nil {
		answer := make(chan struct{})
		f.answer = answer
		asker := ctx
		b.asking.Go(func() {
			defer close(answer)
			b.learnForum(asker)
		})
	}
	on, known, answer := f.on, f.known, f.answer
	f.mu.Unlock()
	if fresh || known && answer == nil {
		return on, nil
	}
	if known { // a chat seldom changes, so wait only briefly
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	select {
	case <-answer:
	case <-ctx.Done():
		if known {
			return on, nil
		}
		return false, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known || f.err != nil && classify(f.err) == lockedOut {
		return false, f.err
	}
	return f.on, nil
}

// learnForum queries Telegram and caches the answer.
func (b *Bridge) learnForum(ctx context.Context) {
	on, err := b.askForum(ctx)
	f := &b.forum
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.err = nil, err
	if err != nil {
		return
	}
	if !f.known || f.on != on {
		b.log.Info("telegram: checked whether the chat has topics", slog.Bool("topics", on))
	}
	f.known, f.on, f.asked = true, on, b.now()
}

// askForum queries Telegram.
func (b *Bridge) askForum(ctx context.Context) (bool, error) {
	var in struct {
		IsForum bool `json:"is_forum"`
	}
	if err := b.api.raw(ctx, callTimeout, "getChat", map[string]string{"chat_id": b.recipient().Recipient()}, &in); err != nil || !in.IsForum {
		return false, err
	}
	var me struct {
		Status string `json:"status"`
		Topics bool   `json:"can_manage_topics"`
	}
	err := b.api.raw(ctx, callTimeout, "getChatMember", map[string]any{"chat_id": b.recipient().Recipient(), "user_id": b.botID}, &me)
	return me.Status == "creator" || me.Status == "administrator" && me.Topics, err
}

// forgetForum makes the next message query Telegram again, because the cached value seems outdated.
func (b *Bridge) forgetForum() {
	b.forum.mu.Lock()
	defer b.forum.mu.Unlock()
	b.forum.asked = time.Time{}
}

// withoutTopics records that the bot may not create topics, until the next query.
func (b *Bridge) withoutTopics() {
	b.forum.mu.Lock()
	defer b.forum.mu.Unlock()
	b.forum.known, b.forum.on, b.forum.asked = true, false, b.now()
}
