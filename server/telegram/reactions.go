package telegram

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/outbox"
)

// reacted shows an operator's reaction (https://core.telegram.org/bots/api#messagereactionupdated) at the visitor's message that it
// is for. The newest reaction of any operator counts.
func (b *Bridge) reacted(ctx context.Context, r *tele.MessageReaction) error {
	if r.Chat == nil || !b.ownChat(r.Chat.ID) || r.User != nil && r.User.IsBot {
		return nil
	}
	ids, err := b.reactedTo(ctx, r)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	for _, id := range ids { // several short messages may stand in one of Telegram's
		m, err := b.store.Message(ctx, id)
		if err == nil && m.SenderType == models.Visitor {
			err = b.chat.React(ctx, operator, m.ThreadID, id, emojiOf(r.NewReaction))
		}
		var no *chat.Error
		if errors.Is(err, models.ErrNotFound) || errors.As(err, &no) && no.Status < 500 {
			continue // deleted meanwhile
		} else if err != nil {
			return fmt.Errorf("%w: %w", errNotSaved, err)
		}
	}
	return nil
}

// linkTries is how often the link of a message is looked for, within about four seconds.
const linkTries = 4

// reactedTo returns the messages that a reaction is for, none if it is for no visitor's. People are quicker than our database:
// a message can get a reaction before it is stored that Telegram took it.
func (b *Bridge) reactedTo(ctx context.Context, r *tele.MessageReaction) (ids []int64, err error) {
	for try := 0; ; try++ {
		ids, err = b.store.LinkedMessages(ctx, r.Chat.ID, int64(r.MessageID))
		if err != nil || len(ids) > 0 || try+1 == linkTries {
			return ids, err
		}
		if err := outbox.Sleep(ctx, outbox.Backoff(try, receiveRetry)); err != nil {
			return nil, err
		}
	}
}

// emojiOf is a reaction as text. Emoji of somebody's own making, which no other program can show, are a star.
func emojiOf(list []tele.Reaction) string {
	var out strings.Builder
	for _, r := range list {
		emoji := r.Emoji
		if emoji == "" {
			emoji = "⭐"
		}
		if utf8.RuneCountInString(out.String()+emoji) > models.MaxReaction {
			break
		}
		out.WriteString(emoji)
	}
	return out.String()
}
