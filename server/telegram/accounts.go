package telegram

import (
	"context"
	"errors"
	"fmt"
	"html"
	"strconv"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/auth"
	"sohbet/server/chat"
)

// Agents link their Telegram accounts with a code that the console shows, see [models.Store.TelegramCode]. What they write in the operators'
// chat then carries their name.

const (
	linkPer  = 10 * time.Minute
	linkEach = 5  // codes that one account may try in linkPer
	linkAll  = 30 // codes that all accounts may try in linkPer, because anyone can have many
)

// linkAttempts limits how many codes are compared.
type linkAttempts struct{ each, all *auth.Limiter }

func newLinkAttempts(now func() time.Time) linkAttempts {
	return linkAttempts{each: auth.NewLimiter(linkEach, linkPer, now), all: auth.NewLimiter(linkAll, linkPer, now)}
}

func (l linkAttempts) allow(u *tele.User) bool {
	each, _ := l.each.Allow(strconv.FormatInt(u.ID, 10))
	if !each {
		return false
	}
	all, _ := l.all.Allow("")
	return all
}

// actor returns the actor that a person in Telegram is: an agent, or the team without saying who.
func (b *Bridge) actor(u *tele.User) chat.Actor {
	if u == nil || u.IsBot { // such as the group's anonymous administrator
		return operator
	}
	who, found := b.store.TelegramAgent(u.ID)
	if !found || !who.Enabled() {
		return operator
	}
	a := operator
	a.Name, a.AgentID = who.Name, models.AgentID(who.ID)
	return a
}

// mayAct reports whether an actor may act on conversations.
func (b *Bridge) mayAct(a chat.Actor) bool { return a.AgentID != 0 || !b.refuseUnlinked }

// refuseUnlinkedSender replies that someone without a linked account may not act on conversations.
func (b *Bridge) refuseUnlinkedSender(ctx context.Context, m *tele.Message) error {
	return b.hint(ctx, m, localized(b.language(m.Sender), "unlinked"))
}

// isPrivate reports whether a message is from a person's own chat with the bot, unless that is the operators' chat.
func (b *Bridge) isPrivate(m *tele.Message) bool {
	return m.Chat != nil && m.Chat.Type == tele.ChatPrivate && !b.ownChat(m.Chat.ID) && m.Sender != nil && !m.Sender.IsBot
}

// handlePrivate executes the commands that agents may give the bot alone. Everything else that is written there is ignored.
func (b *Bridge) handlePrivate(ctx context.Context, m *tele.Message) error {
	switch command, rest, _ := parseCommand(m.Text, b.username(ctx)); command {
	case "link":
		return b.onlyOnce(b.link(ctx, m, rest))
	case "unlink":
		if _, found := b.store.TelegramAgent(m.Sender.ID); found {
			return b.onlyOnce(b.unlink(ctx, m))
		}
	}
	return nil
}

// link links the sender's account to the agent who was given a code.
func (b *Bridge) link(ctx context.Context, m *tele.Message, code string) error {
	lang := b.language(m.Sender)
	switch {
	case m.Sender == nil || m.Sender.IsBot:
		return b.answer(ctx, m, localized(lang, "link_anonymous"), nil)
	case strings.TrimSpace(code) == "":
		if b.isPrivate(m) { // anyone can write there
			return nil
		}
		return b.answer(ctx, m, localized(lang, "link_how"), nil)
	case !b.linkAttempts.allow(m.Sender):
		if b.isPrivate(m) {
			return nil
		}
		return b.hint(ctx, m, localized(lang, "link_limited"))
	}
	who, err := b.store.LinkTelegram(ctx, code, m.Sender.ID)
	present, linked := b.store.TelegramAgent(m.Sender.ID)
	switch {
	case errors.Is(err, models.ErrTelegramTaken):
		return b.answer(ctx, m, localized(lang, "link_taken", "name", html.EscapeString(present.Name)), nil)
	case errors.Is(err, models.ErrNotFound) && linked: // the code may have been used before a crash
		return b.answer(ctx, m, localized(lang, "linked", "name", html.EscapeString(present.Name)), nil)
	case errors.Is(err, models.ErrNotFound):
		b.audit.Write(ctx, audit.Event{Name: audit.TelegramLink, Actor: string(chat.Telegram), Outcome: audit.Wrong})
		return b.answer(ctx, m, localized(lang, "link_wrong"), nil)
	case err != nil:
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	b.audit.Write(ctx, audit.Event{Name: audit.TelegramLink, Actor: who.Name, AgentID: models.AgentID(who.ID), Outcome: audit.OK})
	return b.answer(ctx, m, localized(lang, "linked", "name", html.EscapeString(who.Name)), nil)
}

// unlink removes the link of the sender's account.
func (b *Bridge) unlink(ctx context.Context, m *tele.Message) error {
	lang := b.language(m.Sender)
	var who models.Agent
	found := false
	if m.Sender != nil {
		who, found = b.store.TelegramAgent(m.Sender.ID)
	}
	if !found {
		return b.answer(ctx, m, localized(lang, "not_linked"), nil)
	}
	if _, err := b.store.UpdateAgent(ctx, who.ID, models.AgentPatch{UnlinkTelegram: true}); err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	b.audit.Write(ctx, audit.Event{Name: audit.TelegramUnlink, Actor: who.Name, AgentID: models.AgentID(who.ID), Outcome: audit.OK})
	return b.answer(ctx, m, localized(lang, "unlinked_now", "name", html.EscapeString(who.Name)), nil)
}

// take assigns a conversation to the agent who gives the command.
func (b *Bridge) take(ctx context.Context, m *tele.Message, lang, threadID string) error {
	me := b.actor(m.Sender)
	err := b.chat.Assign(ctx, me, threadID, me.AgentID, nil, "")
	var no *apperr.Error
	if errors.As(err, &no) && no.Code == apperr.CodeConflict {
		t, err := b.store.Thread(ctx, threadID)
		if err != nil && !errors.Is(err, models.ErrNotFound) {
			return fmt.Errorf("%w: %w", errNotSaved, err)
		}
		return b.answer(ctx, m, localized(lang, "taken", "name", html.EscapeString(b.assignee(t))), nil)
	}
	if done, err := b.answerResult(ctx, m, lang, err); done {
		return err
	}
	return b.answer(ctx, m, localized(lang, "took", "name", html.EscapeString(me.Name)), nil)
}

// give assigns a conversation to another agent.
func (b *Bridge) give(ctx context.Context, m *tele.Message, lang, threadID, name string) error {
	who, found := b.store.FindAgent(strings.TrimPrefix(strings.TrimSpace(name), "@"))
	if !found {
		return b.answer(ctx, m, localized(lang, "no_agent"), nil)
	}
	if done, err := b.answerResult(ctx, m, lang, b.chat.Assign(ctx, b.actor(m.Sender), threadID, models.AgentID(who.ID), nil, "")); done {
		return err
	}
	return b.answer(ctx, m, localized(lang, "gave", "name", html.EscapeString(who.Name)), nil)
}

// assignee returns the name of the agent who answers a thread; "" for none.
func (b *Bridge) assignee(t models.Thread) string {
	if t.AssigneeID == 0 {
		return ""
	}
	who, _ := b.store.Agent(int64(t.AssigneeID))
	return who.Name
}
