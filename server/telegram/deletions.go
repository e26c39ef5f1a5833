package telegram

import (
	"context"
	"log/slog"
	"time"

	"sohbet/models"
	"sohbet/server/outbox"
)

// rightsRetry is how long topics wait that the bot may neither delete nor close.
const rightsRetry = 10 * time.Minute

// deleteTopic deletes the topic of a conversation that was deleted, with all that stands in it. Where the bot lacks the right
// to delete messages (https://core.telegram.org/bots/api#deleteforumtopic), the topic is closed.
func (b *Bridge) deleteTopic(ctx context.Context, row models.OutboxRow, take slots) outbox.Outcome {
	done := outbox.Outcome{Done: []models.OutboxRow{row}}
	if row.ThreadID != models.TopicsOfChat(int64(b.to())) {
		b.log.Warn("telegram: a deleted conversation's topic stays: it is in another chat than TELEGRAM_CHAT_ID names", slog.Int64("topic_id", row.MessageID))
		return done
	}
	topic := &models.TelegramThread{TopicID: row.MessageID}
	err := b.ofTopic(ctx, take, "deleteForumTopic", topic, nil)
	v := judge(err)
	if err == nil || v == topicGone {
		return done
	}
	// A row that failed by its own fault for so long is given up: what is set aside waits for an agent, who sees no such row.
	last := row.Tries+2 >= sendTries
	if v != refused && v != barred && !last {
		return b.failed(err)
	}
	closed := b.ofTopic(ctx, take, "closeForumTopic", topic, nil)
	switch v := judge(closed); {
	case closed == nil:
		b.log.Warn("telegram: a deleted conversation's topic could only be closed; give the bot the right to delete messages", slog.Int64("topic_id", row.MessageID), slog.Any("error", err))
	case v == topicGone:
	case v == barred: // it says nothing of messages, which a bot without any right can send
		b.log.Warn("telegram: a deleted conversation's topic can be neither deleted nor closed for now; give the bot the right to delete messages", slog.Int64("topic_id", row.MessageID), slog.Any("error", err))
		return outbox.Outcome{Wait: rightsRetry}
	case v != refused && !last:
		return b.failed(closed)
	default:
		b.log.Error("telegram: a deleted conversation's topic stays in the chat", slog.Int64("topic_id", row.MessageID), slog.Any("error", err))
	}
	return done
}
