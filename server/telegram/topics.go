package telegram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/outbox"
)

// topic makes sure that a thread has an open topic, if the chat has topics, and sets it in names.
func (b *Bridge) topic(ctx context.Context, take slots, t models.Thread, names *models.TelegramThread) error {
	on, err := b.topics(ctx)
	if err != nil {
		return err
	}
	chat := int64(b.recipient())
	if !on {
		names.TopicID = 0
		return nil
	}
	if names.ChatID == chat && names.TopicID != 0 {
		if names.TopicStatus == models.StatusClosed {
			return b.reopenTopic(ctx, take, names)
		}
		return nil
	}
	var made tele.Topic
	name := b.topicTitle(t)
	b.making.Add(1)
	defer b.making.Add(-1)
	err = b.withTopicName(t, func(name string) error {
		return b.paced(ctx, take, func(ctx context.Context) error {
			return b.api.raw(ctx, sendTimeout, "createForumTopic", map[string]string{"chat_id": b.recipient().Recipient(), "name": name}, &made)
		})
	})
	switch {
	case aboutTopics(err):
		b.log.Warn("telegram: cannot create topics; all conversations use the chat itself for now", slog.Any("error", err))
		b.withoutTopics()
		names.TopicID = 0
		return nil
	case err != nil && classify(err) == refused:
		b.log.Warn("telegram: failed to create a topic", slog.Any("error", err))
		names.TopicID = 0
		return nil
	case err != nil:
		return err
	}
	names.ChatID, names.TopicID, names.TopicName, names.TopicStatus = chat, int64(made.ThreadID), name, models.StatusActive
	if lost := models.CheckLease(ctx); lost != nil { // the next process uses this topic, unless it has already created one
		var cancel context.CancelFunc
		ctx, cancel = outbox.WithGrace(models.WithoutLease(ctx), lastCall)
		defer cancel()
		if now, ok, err := b.store.TelegramThread(ctx, t.ID); err != nil || ok && now.ChatID == chat && now.TopicID != 0 {
			return lost
		}
		return errors.Join(lost, b.setTopic(ctx, *names))
	}
	return b.setTopic(ctx, *names)
}

// withTopicName makes a call with the name of a thread's topic. If Telegram refuses the name, it retries with a generic one.
func (b *Bridge) withTopicName(t models.Thread, do func(name string) error) error {
	err := do(b.topicTitle(t))
	if err == nil || classify(err) != refused || aboutTopics(err) {
		return err
	}
	b.log.Warn("telegram: Telegram refused the name of a topic; using a generic one", slog.Any("error", err))
	return do(plainTopicName(t))
}

// setTopic stores the topic of a thread, also during a shutdown: otherwise it would be created again.
func (b *Bridge) setTopic(ctx context.Context, names models.TelegramThread) error {
	ctx, cancel := outbox.WithGrace(ctx, lastCall)
	defer cancel()
	if err := b.store.SetTopic(ctx, names); err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	return nil
}

// forgetTopic records that a topic was deleted: the next message creates a new one.
func (b *Bridge) forgetTopic(ctx context.Context, names *models.TelegramThread) error {
	names.ChatID, names.TopicID, names.TopicName, names.TopicStatus = 0, 0, "", ""
	b.forgetForum()
	return b.setTopic(ctx, *names)
}

// ofTopic calls a method for a topic. It is a success if the requested state is already set.
func (b *Bridge) ofTopic(ctx context.Context, take slots, method string, names *models.TelegramThread, params map[string]any) error {
	if params == nil {
		params = make(map[string]any)
	}
	params["chat_id"], params["message_thread_id"] = b.recipient().Recipient(), names.TopicID
	err := b.paced(ctx, take, func(ctx context.Context) error { return b.api.raw(ctx, callTimeout, method, params, nil) })
	if unchanged(err) {
		return nil
	}
	return err
}

func (b *Bridge) reopenTopic(ctx context.Context, take slots, names *models.TelegramThread) error {
	if err := b.ofTopic(ctx, take, "reopenForumTopic", names, nil); err != nil {
		return err
	}
	names.TopicStatus = models.StatusActive
	return b.setTopic(ctx, *names)
}

// sendTopic updates the topic of a thread. Of several queued changes only the last one counts. A topic that was changed recently is not
// changed again yet, but messages are not delayed by that.
func (b *Bridge) sendTopic(ctx context.Context, rows []models.OutboxRow, take slots) outbox.Outcome {
	n := 1
	for n < len(rows) && rows[n].Kind == models.OutboxTopic {
		n++
	}
	for _, later := range rows[n:] {
		if later.Kind == models.OutboxTopic {
			return outbox.Outcome{Done: rows[:n]}
		}
	}
	wait := b.changes.wait(rows[0].ThreadID, b.now())
	if wait > 0 && n < len(rows) {
		return outbox.Outcome{Done: rows[:n], Record: func(ctx context.Context) error { // moves behind the messages
			if err := b.store.QueueTopic(ctx, rows[0].ThreadID); err != nil {
				return err
			}
			ids := make([]int64, n)
			for i, row := range rows[:n] {
				ids[i] = row.ID
			}
			return b.store.OutboxDone(ctx, ids...)
		}}
	} else if wait > 0 {
		return outbox.Outcome{Wait: wait}
	}
	changed, err := b.syncTopic(ctx, take, rows[0].ThreadID)
	if changed {
		b.changes.note(rows[0].ThreadID, b.now())
	}
	v := classify(err)
	var e *apiError
	if v == barred && errors.As(err, &e) && e.has("topic") { // messages must not wait for a topic's name or state
		b.log.Warn("telegram: failed to change a topic", slog.Any("error", err))
		v = refused
	}
	switch {
	case err == nil, v == refused:
		return outbox.Outcome{Done: rows[:n]}
	case errors.Is(err, errNotSaved):
		return b.notRead(ctx, err)
	}
	return b.failed(err)
}

// changes records when topics were last changed.
type changes struct {
	mu sync.Mutex
	at map[string]time.Time // by thread
}

// wait returns how long a topic may not be changed.
func (c *changes) wait(threadID string, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.at[threadID]; ok {
		return at.Add(topicEvery).Sub(now)
	}
	return 0
}

func (c *changes) note(threadID string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.at, func(_ string, at time.Time) bool { return now.Sub(at) > topicEvery })
	if c.at == nil {
		c.at = make(map[string]time.Time)
	}
	c.at[threadID] = now
}

// syncTopic sets the name and state of a thread's topic, if it has one, and reports whether that needed a call.
func (b *Bridge) syncTopic(ctx context.Context, take slots, threadID string) (changed bool, err error) {
	defer b.turn.lock(threadID)()
	t, err := b.store.Thread(ctx, threadID)
	var names models.TelegramThread
	if err == nil {
		names, _, err = b.store.TelegramThread(ctx, threadID)
	}
	if errors.Is(err, models.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("%w: %w", errNotSaved, err)
	}
	if names.TopicID == 0 || names.ChatID != int64(b.recipient()) || b.topicTitle(t) == names.TopicName && t.Status == names.TopicStatus {
		return false, nil
	}
	on, err := b.topics(ctx)
	if err != nil || !on {
		return false, err
	}
	err = b.matchTopic(ctx, take, t, &names)
	switch classify(err) {
	case topicGone:
		return true, b.forgetTopic(ctx, &names)
	case refused:
		if err != nil {
			b.log.Warn("telegram: failed to change a topic", slog.Any("error", err))
		}
	}
	return true, err
}

func (b *Bridge) matchTopic(ctx context.Context, take slots, t models.Thread, names *models.TelegramThread) error {
	if name := b.topicTitle(t); name != names.TopicName {
		err := b.withTopicName(t, func(name string) error {
			return b.ofTopic(ctx, take, "editForumTopic", names, map[string]any{"name": name})
		})
		if err != nil {
			return err
		}
		names.TopicName = name
	}
	if t.Status != names.TopicStatus {
		method := "closeForumTopic"
		if t.Status == models.StatusActive {
			method = "reopenForumTopic"
		}
		if err := b.ofTopic(ctx, take, method, names, nil); err != nil {
			return err
		}
		names.TopicStatus = t.Status
	}
	return b.setTopic(ctx, *names)
}
