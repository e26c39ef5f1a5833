package telegram

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/outbox"
)

// reacted sets an operator's reaction (https://core.telegram.org/bots/api#messagereactionupdated) on the visitor's message. The newest
// reaction of any operator replaces earlier ones.
func (b *Bridge) reacted(ctx context.Context, r *tele.MessageReaction) error {
	if r.Chat == nil || !b.ownChat(r.Chat.ID) || r.User != nil && r.User.IsBot {
		return nil
	}
	actor := b.actor(r.User)
	if !b.mayAct(actor) {
		return nil
	}
	ids, err := b.reactedTo(ctx, r)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	for _, id := range ids { // several short messages may be combined in one Telegram message
		m, err := b.store.Message(ctx, id)
		if err == nil && m.SenderType == models.Visitor {
			err = b.chat.React(ctx, actor, m.ThreadID, id, emojiOf(r.NewReaction))
		}
		var no *apperr.Error
		if errors.Is(err, models.ErrNotFound) || errors.As(err, &no) && no.Status < 500 {
			continue // deleted meanwhile
		} else if err != nil {
			return fmt.Errorf("%w: %w", errNotSaved, err)
		}
	}
	return nil
}

// linkTries is how often the link of a message is looked up, within about four seconds.
const linkTries = 4

// reactedTo returns the messages that a reaction is for, none if it is not on a visitor's message. It retries, because a message can
// get a reaction before its link is stored.
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

// emojiOf returns a reaction as text. Custom emoji, which other programs cannot show, become a star.
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
