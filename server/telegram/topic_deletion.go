package telegram

import (
	"context"
	"log/slog"
	"time"

	"sohbet/models"
	"sohbet/server/outbox"
)

// rightsRetry is the retry interval for topics that the bot may neither delete nor close.
const rightsRetry = 10 * time.Minute

// deleteTopic deletes the topic of a deleted conversation, with all its messages. If the bot lacks the right to delete messages
// (https://core.telegram.org/bots/api#deleteforumtopic), it closes the topic.
func (b *Bridge) deleteTopic(ctx context.Context, row models.OutboxRow, take slots) outbox.Outcome {
	done := outbox.Outcome{Done: []models.OutboxRow{row}}
	if row.ThreadID != models.TopicsOfChat(int64(b.recipient())) {
		b.log.Warn("telegram: cannot delete a topic in a chat other than TELEGRAM_CHAT_ID", slog.Int64("topic_id", row.MessageID))
		return done
	}
	topic := &models.TelegramThread{TopicID: row.MessageID}
	err := b.ofTopic(ctx, take, "deleteForumTopic", topic, nil)
	v := classify(err)
	if err == nil || v == topicGone {
		return done
	}
	// Give up before the row would be set aside: agents do not see such rows, so none could retry it.
	last := row.Tries+2 >= sendTries
	if v != refused && v != barred && !last {
		return b.failed(err)
	}
	closed := b.ofTopic(ctx, take, "closeForumTopic", topic, nil)
	switch v := classify(closed); {
	case closed == nil:
		b.log.Warn("telegram: closed the topic of a deleted conversation; to have it deleted, give the bot the right to delete messages", slog.Int64("topic_id", row.MessageID), slog.Any("error", err))
	case v == topicGone:
	case v == barred: // only means that this right is missing; messages can be sent without it
		b.log.Warn("telegram: cannot delete or close the topic of a deleted conversation; give the bot the right to delete messages", slog.Int64("topic_id", row.MessageID), slog.Any("error", err))
		return outbox.Outcome{Wait: rightsRetry}
	case v != refused && !last:
		return b.failed(closed)
	default:
		b.log.Error("telegram: failed to delete the topic of a deleted conversation", slog.Int64("topic_id", row.MessageID), slog.Any("error", err))
	}
	return done
}
