package telegram

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
)

// forum is what is known of the chat.
type forum struct {
	mu    sync.Mutex
	known bool
	on    bool // topics exist and the bot may manage them
	asked time.Time
}

// topics reports whether, as far as is known, each thread has a topic.
func (f *forum) topics() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

const forumKept = 10 * time.Minute

// topics reports whether each thread has a topic of its own. As long as Telegram does not say, it is an error.
func (b *Bridge) topics(ctx context.Context) (bool, error) {
	f := &b.forum
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known && b.now().Sub(f.asked) < forumKept {
		return f.on, nil
	}
	on, err := b.askForum(ctx)
	if err != nil {
		if f.known && judge(err) != lockedOut {
			return f.on, nil // as it was
		}
		return false, err
	}
	if !f.known || f.on != on {
		b.log.Info("telegram: how conversations are kept apart", slog.Bool("topics", on))
	}
	f.known, f.on, f.asked = true, on, b.now()
	return on, nil
}

// askForum asks Telegram.
func (b *Bridge) askForum(ctx context.Context) (bool, error) {
	var in struct {
		IsForum bool `json:"is_forum"`
	}
	if err := b.api.raw(ctx, callTimeout, "getChat", map[string]string{"chat_id": b.to().Recipient()}, &in); err != nil || !in.IsForum {
		return false, err
	}
	var me struct {
		Status string `json:"status"`
		Topics bool   `json:"can_manage_topics"`
	}
	err := b.api.raw(ctx, callTimeout, "getChatMember", map[string]any{"chat_id": b.to().Recipient(), "user_id": b.botID}, &me)
	return me.Status == "creator" || me.Status == "administrator" && me.Topics, err
}

// forgetForum makes the next message ask again: something was not as it was known.
func (b *Bridge) forgetForum() {
	b.forum.mu.Lock()
	defer b.forum.mu.Unlock()
	b.forum.asked = time.Time{}
}

// withoutTopics notes that the bot may not make topics after all, until it is asked again.
func (b *Bridge) withoutTopics() {
	b.forum.mu.Lock()
	defer b.forum.mu.Unlock()
	b.forum.known, b.forum.on, b.forum.asked = true, false, b.now()
}

// topic makes sure that a thread has an open topic, where there are topics, and fills it into names.
func (b *Bridge) topic(ctx context.Context, t models.Thread, names *models.TelegramThread) error {
	on, err := b.topics(ctx)
	if err != nil {
		return err
	}
	chat := int64(b.to())
	if !on {
		names.TopicID = 0
		return nil
	}
	if names.ChatID == chat && names.TopicID != 0 {
		if names.TopicStatus == models.StatusClosed {
			return b.reopenTopic(ctx, names)
		}
		return nil
	}
	var made tele.Topic
	name := topicName(t)
	err = b.api.raw(ctx, sendTimeout, "createForumTopic", map[string]string{"chat_id": b.to().Recipient(), "name": name}, &made)
	if judge(err) == refused && err != nil {
		b.log.Warn("telegram: no topic could be made; the conversations share the chat for now", slog.Any("error", err))
		b.withoutTopics()
		names.TopicID = 0
		return nil
	}
	if err != nil {
		return err
	}
	names.ChatID, names.TopicID, names.TopicName, names.TopicStatus = chat, int64(made.ThreadID), name, models.StatusActive
	return b.store.SetTopic(ctx, *names)
}

// forgetTopic notes that a topic is gone: the next message makes another.
func (b *Bridge) forgetTopic(ctx context.Context, names *models.TelegramThread) error {
	names.ChatID, names.TopicID, names.TopicName, names.TopicStatus = 0, 0, "", ""
	b.forgetForum()
	return b.store.SetTopic(ctx, *names)
}

// ofTopic calls a method that is about a topic. What is so already is a success.
func (b *Bridge) ofTopic(ctx context.Context, method string, names *models.TelegramThread, params map[string]any) error {
	if params == nil {
		params = make(map[string]any)
	}
	params["chat_id"], params["message_thread_id"] = b.to().Recipient(), names.TopicID
	err := b.api.raw(ctx, callTimeout, method, params, nil)
	if unchanged(err) {
		return nil
	}
	return err
}

func (b *Bridge) reopenTopic(ctx context.Context, names *models.TelegramThread) error {
	if err := b.ofTopic(ctx, "reopenForumTopic", names, nil); err != nil {
		return err
	}
	names.TopicStatus = models.StatusActive
	return b.store.SetTopic(ctx, *names)
}

// syncTopic gives the topic of a thread, if it has one, the thread's name and state.
func (b *Bridge) syncTopic(ctx context.Context, threadID string) error {
	b.turn.Lock()
	defer b.turn.Unlock()
	t, err := b.store.Thread(ctx, threadID)
	if errors.Is(err, models.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	names, _, err := b.store.TelegramThread(ctx, threadID)
	if errors.Is(err, models.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	on, err := b.topics(ctx)
	if err != nil || !on || names.TopicID == 0 || names.ChatID != int64(b.to()) {
		return err
	}
	err = b.matchTopic(ctx, t, &names)
	switch judge(err) {
	case topicGone:
		return b.forgetTopic(ctx, &names)
	case refused:
		if err != nil {
			b.log.Warn("telegram: a topic could not be changed", slog.Any("error", err))
		}
		return nil
	}
	return err
}

func (b *Bridge) matchTopic(ctx context.Context, t models.Thread, names *models.TelegramThread) error {
	if name := topicName(t); name != names.TopicName {
		if err := b.ofTopic(ctx, "editForumTopic", names, map[string]any{"name": name}); err != nil {
			return err
		}
		names.TopicName = name
	}
	if t.Status != names.TopicStatus {
		method := "closeForumTopic"
		if t.Status == models.StatusActive {
			method = "reopenForumTopic"
		}
		if err := b.ofTopic(ctx, method, names, nil); err != nil {
			return err
		}
		names.TopicStatus = t.Status
	}
	return b.store.SetTopic(ctx, *names)
}
