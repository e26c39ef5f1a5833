package telegram

import (
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"regexp"
	"strconv"
	"strings"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

// commands are the bot's commands, in the order in which Telegram lists them.
var commands = []string{"help", "status", "threads", "mine", "take", "give", "close", "block", "online", "offline", "link", "unlink", "doctor"}

var commandPattern = regexp.MustCompile(`(?s)^/([A-Za-z0-9_]+)(?:@([A-Za-z0-9_]+))?(?:\s+(.*))?$`)

// parseCommand parses a text that begins with a slash. For a command addressed to another bot, command is empty.
func parseCommand(text, username string) (command, rest string, ok bool) {
	if !strings.HasPrefix(text, "/") {
		return "", "", false
	}
	found := commandPattern.FindStringSubmatch(text)
	if found == nil {
		return "?", "", true
	}
	if found[2] != "" && username != "" && !strings.EqualFold(found[2], username) {
		return "", "", true
	}
	return strings.ToLower(found[1]), found[3], true
}

// register registers the commands at Telegram.
func (b *Bridge) register(ctx context.Context) error {
	for _, lang := range [...]string{"en", "tr"} {
		list := make([]tele.Command, len(commands))
		for i, name := range commands {
			list[i] = tele.Command{Text: name, Description: localized(lang, "cmd_"+name)}
		}
		code := lang
		if lang == "en" {
			code = "" // for all other languages
		}
		_, err := b.api.do(ctx, callTimeout, func(bot *tele.Bot) error { return bot.SetCommands(list, code) })
		if err != nil {
			return err
		}
	}
	return nil
}

// command executes an operator's command.
func (b *Bridge) command(ctx context.Context, m *tele.Message, name, rest string) error {
	lang := b.language(m.Sender)
	me := b.actor(m.Sender)
	switch name {
	case "mine", "take", "give":
		if me.AgentID == 0 {
			return b.answer(ctx, m, localized(lang, "link_first"), nil)
		}
	case "close", "block", "online", "offline":
		if !b.mayAct(me) {
			return b.refuseUnlinkedSender(ctx, m)
		}
	}
	switch name {
	case "": // for another bot
		return nil
	case "start", "help":
		return b.answer(ctx, m, help(lang), keys(row(key(localized(lang, "b_threads"), "threads"))))
	case "status":
		return b.status(ctx, m, lang)
	case "threads":
		return b.list(ctx, m, lang, nil)
	case "mine":
		return b.list(ctx, m, lang, &me.AgentID)
	case "online", "offline":
		return b.setAway(ctx, m, lang, name == "offline", me)
	case "link":
		return b.link(ctx, m, rest)
	case "unlink":
		return b.unlink(ctx, m)
	case "doctor":
		return b.answer(ctx, m, b.diagnosis(ctx, lang), nil)
	case "close", "block", "take", "give":
		threadID, why, err := b.target(ctx, m)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", errNotSaved, err)
		case threadID == "" && why == localized(lang, "conflict"):
			return b.answer(ctx, m, why, nil)
		case threadID == "":
			return b.answer(ctx, m, localized(lang, "which"), nil)
		case name == "close":
			return b.close(ctx, m, lang, threadID, me)
		case name == "take":
			return b.take(ctx, m, lang, threadID)
		case name == "give":
			return b.give(ctx, m, lang, threadID, rest)
		}
		return b.block(ctx, m, lang, threadID, false, me)
	}
	return b.answer(ctx, m, localized(lang, "unknown"), nil)
}

func help(lang string) string {
	var text strings.Builder
	text.WriteString(html.EscapeString(localized(lang, "help_head")) + "\n")
	for _, name := range commands {
		text.WriteString("\n/" + name + " " + html.EscapeString(localized(lang, "cmd_"+name)))
	}
	return text.String()
}

// key returns a button with callback data; row and keys combine buttons.
func key(text, data string) tele.InlineButton {
	return tele.InlineButton{Text: text, Data: data}
}

func row(keys ...tele.InlineButton) []tele.InlineButton { return keys }

func keys(rows ...[]tele.InlineButton) *tele.ReplyMarkup {
	return &tele.ReplyMarkup{InlineKeyboard: rows}
}

// threadButtons returns the buttons for a thread.
func (b *Bridge) threadButtons(lang, short string, closed bool) *tele.ReplyMarkup {
	turn := key(localized(lang, "b_close"), "close:"+short)
	if closed {
		turn = key(localized(lang, "b_reopen"), "reopen:"+short)
	}
	return keys(row(turn, key(localized(lang, "b_block"), "block:"+short)))
}

func (b *Bridge) status(ctx context.Context, m *tele.Message, lang string) error {
	list, err := b.store.Threads(ctx, models.ThreadQuery{Status: models.StatusActive, Limit: 1000})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	waiting := 0
	for _, t := range list {
		if t.UnreadCount > 0 {
			waiting++
		}
	}
	database, team, turn := localized(lang, "well"), localized(lang, "team_here"), key(localized(lang, "b_offline"), "offline")
	if found := b.store.Check(ctx); found.Reads != nil {
		database = found.Reads.Error()
	} else if found.Writes != nil {
		database = found.Writes.Error()
	}
	if b.chat.Away() {
		team, turn = localized(lang, "team_away"), key(localized(lang, "b_online"), "online")
	}
	text := localized(lang, "status", "visitors", strconv.Itoa(b.chat.VisitorsOnline()), "waiting", strconv.Itoa(waiting),
		"queued", strconv.FormatInt(b.Health(ctx).Waiting, 10), "database", html.EscapeString(database), "team", team)
	return b.answer(ctx, m, text, keys(row(key(localized(lang, "b_threads"), "threads"), turn)))
}

const listed = 10 // number of threads, with a button each

// list sends the open threads, or those of an assignee, most recent activity first, with a button for each.
func (b *Bridge) list(ctx context.Context, m *tele.Message, lang string, assignee *models.AgentID) error {
	list, err := b.store.Threads(ctx, models.ThreadQuery{Status: models.StatusActive, Assignee: assignee, Limit: listed})
	if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	var rows [][]tele.InlineButton
	for _, t := range list {
		names, _, err := b.store.TelegramThread(ctx, t.ID)
		if errors.Is(err, models.ErrNotFound) {
			continue
		} else if err != nil {
			return fmt.Errorf("%w: %w", errNotSaved, err)
		}
		name, _ := cutText(topicName(t), 40)
		if t.UnreadCount > 0 {
			name = "● " + name + " (" + strconv.FormatInt(t.UnreadCount, 10) + ")"
		}
		rows = append(rows, row(key(name, "show:"+names.ShortID)))
	}
	if len(rows) == 0 {
		return b.answer(ctx, m, localized(lang, "no_threads"), nil)
	}
	return b.answer(ctx, m, localized(lang, "threads", "n", strconv.Itoa(len(rows))), keys(rows...))
}

// show sends the details of a thread, as a message to which operators can reply.
func (b *Bridge) show(ctx context.Context, m *tele.Message, lang string, names models.TelegramThread) error {
	t, err := b.store.Thread(ctx, names.ThreadID)
	if errors.Is(err, models.ErrNotFound) {
		return b.answer(ctx, m, localized(lang, "gone"), nil)
	} else if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	lines := []string{"💬 <b>" + html.EscapeString(topicName(t)) + "</b>"}
	add := func(key, word, value string) {
		if value != "" {
			value, _ = cutText(value, 300)
			lines = append(lines, localized(lang, key, word, html.EscapeString(value)))
		}
	}
	add("phone", "phone", t.PhoneNumber)
	add("page", "page", t.PageURL)
	add("last", "text", t.LastMessage)
	lines = append(lines, localized(lang, "reply_here"), tagPrefix+names.ShortID)
	markup := b.threadButtons(lang, names.ShortID, t.Status == models.StatusClosed)
	if group := strings.TrimPrefix(b.recipient().Recipient(), "-100"); names.TopicID != 0 && names.ChatID == int64(b.recipient()) && group != b.recipient().Recipient() {
		link := fmt.Sprintf("https://t.me/c/%s/%d", group, names.TopicID)
		markup.InlineKeyboard = append(markup.InlineKeyboard, row(tele.InlineButton{Text: localized(lang, "b_topic"), URL: link}))
	}
	id, err := b.reply(ctx, m, strings.Join(lines, "\n"), markup)
	if err != nil || id == 0 {
		return err
	}
	err = b.store.Link(ctx, models.TelegramLink{ThreadID: t.ID, ChatID: int64(b.recipient()), TelegramMessageID: id, TopicID: int64(topicOf(m)), CreatedAt: b.now().UTC()})
	if err != nil { // its last line also identifies the thread
		b.log.Warn("telegram: failed to store the link of a reply", slog.Any("error", err))
	}
	return nil
}

// diagnosis formats the doctor's findings.
func (b *Bridge) diagnosis(ctx context.Context, lang string) string {
	var text strings.Builder
	for _, f := range b.Doctor().Examine(ctx, lang) {
		sign := map[Grade]string{OK: "✅", Warn: "⚠️", Fail: "❌"}[f.Grade]
		text.WriteString(sign + " <b>" + html.EscapeString(f.Title) + "</b>: " + html.EscapeString(f.Text) + "\n")
		if f.Cure != "" {
			text.WriteString("→ " + html.EscapeString(f.Cure) + "\n")
		}
	}
	return text.String()
}

// answerResult turns an error of the chat service into an answer; done reports whether one was sent.
func (b *Bridge) answerResult(ctx context.Context, m *tele.Message, lang string, err error) (done bool, out error) {
	var no *apperr.Error
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &no) && no.Code == apperr.CodeNotFound:
		return true, b.answer(ctx, m, localized(lang, "gone"), nil)
	case errors.As(err, &no) && no.Status < 500:
		return true, b.answer(ctx, m, localized(lang, "failed", "reason", html.EscapeString(reason(lang, no))), nil)
	}
	return true, fmt.Errorf("%w: %w", errNotSaved, err)
}

// close closes a thread and confirms it. Its topic is closed afterwards, because only administrators can write in a closed topic.
func (b *Bridge) close(ctx context.Context, m *tele.Message, lang, threadID string, me chat.Actor) error {
	defer b.turn.lock(threadID)()
	names, _, err := b.store.TelegramThread(ctx, threadID)
	if err == nil {
		err = b.chat.SetStatus(ctx, me, threadID, models.StatusClosed)
	}
	if done, err := b.answerResult(ctx, m, lang, publicNotFound(err)); done {
		return err
	}
	return b.answer(ctx, m, localized(lang, "closed"), keys(row(key(localized(lang, "b_reopen"), "reopen:"+names.ShortID))))
}

func (b *Bridge) reopen(ctx context.Context, m *tele.Message, lang string, names models.TelegramThread, me chat.Actor) error {
	// The confirmation is sent to the topic, which must be open for that.
	if names.TopicID != 0 && names.ChatID == int64(b.recipient()) && topicOf(m) == int(names.TopicID) {
		unlock := b.turn.lock(names.ThreadID)
		err := b.reopenTopic(ctx, b.urgent(urgentWait), &names)
		unlock()
		if err != nil && classify(err) == passing {
			return err
		}
	}
	if done, err := b.answerResult(ctx, m, lang, b.chat.SetStatus(ctx, me, names.ThreadID, models.StatusActive)); done {
		return err
	}
	return b.answer(ctx, m, localized(lang, "reopened"), b.threadButtons(lang, names.ShortID, false))
}

// block blocks the visitor of a thread and, with address, their last known address.
func (b *Bridge) block(ctx context.Context, m *tele.Message, lang, threadID string, address bool, me chat.Actor) error {
	names, _, err := b.store.TelegramThread(ctx, threadID)
	if err == nil {
		err = b.chat.Block(ctx, me, threadID, address)
	}
	if done, err := b.answerResult(ctx, m, lang, publicNotFound(err)); done {
		return err
	}
	undo := key(localized(lang, "b_unblock"), "unblock:"+names.ShortID)
	if address {
		return b.answer(ctx, m, localized(lang, "blocked_both"), keys(row(undo)))
	}
	return b.answer(ctx, m, localized(lang, "blocked"), keys(row(key(localized(lang, "b_address"), "address:"+names.ShortID), undo)))
}

func (b *Bridge) unblock(ctx context.Context, m *tele.Message, lang string, names models.TelegramThread, me chat.Actor) error {
	if done, err := b.answerResult(ctx, m, lang, b.chat.Unblock(ctx, me, names.ThreadID)); done {
		return err
	}
	return b.answer(ctx, m, localized(lang, "unblocked"), nil)
}

func (b *Bridge) setAway(ctx context.Context, m *tele.Message, lang string, away bool, me chat.Actor) error {
	if done, err := b.answerResult(ctx, m, lang, b.chat.SetAway(ctx, me, away)); done {
		return err
	}
	if away {
		return b.answer(ctx, m, localized(lang, "offline"), keys(row(key(localized(lang, "b_online"), "online"))))
	}
	return b.answer(ctx, m, localized(lang, "online"), keys(row(key(localized(lang, "b_offline"), "offline"))))
}

// publicNotFound converts the store's not-found error to the chat service's.
func publicNotFound(err error) error {
	if errors.Is(err, models.ErrNotFound) {
		return chat.ErrThreadNotFound
	}
	return err
}

// pressed executes the action of a button.
func (b *Bridge) pressed(ctx context.Context, c *tele.Callback) error {
	if c.Message == nil || c.Message.Chat == nil || c.Message.Chat.ID != int64(b.recipient()) || c.Sender == nil || c.Sender.IsBot {
		return nil
	}
	m, lang, me := c.Message, b.language(c.Sender), b.actor(c.Sender)
	said := "done"
	if verb, _, _ := strings.Cut(c.Data, ":"); verb != "threads" && verb != "show" && !b.mayAct(me) {
		said = "unlinked_short"
	} else if err := b.onlyOnce(b.act(ctx, m, lang, c.Data, me)); err != nil {
		return err
	}
	// If this fails, Telegram only shows the button as busy for a moment.
	err := b.api.raw(ctx, callTimeout, "answerCallbackQuery", map[string]string{"callback_query_id": c.ID, "text": localized(lang, said)}, nil)
	if err != nil && classify(err) != refused { // that is Telegram's response if it comes too late
		b.log.Warn("telegram: failed to acknowledge a button", slog.Any("error", err))
	}
	return nil
}

func (b *Bridge) act(ctx context.Context, m *tele.Message, lang, data string, me chat.Actor) error {
	verb, short, about := strings.Cut(data, ":")
	if !about {
		switch verb {
		case "threads":
			return b.list(ctx, m, lang, nil)
		case "online", "offline":
			return b.setAway(ctx, m, lang, verb == "offline", me)
		}
		return nil
	}
	names, err := b.store.TelegramThreadByShortID(ctx, short)
	if errors.Is(err, models.ErrNotFound) {
		return b.answer(ctx, m, localized(lang, "gone"), nil)
	} else if err != nil {
		return fmt.Errorf("%w: %w", errNotSaved, err)
	}
	switch verb {
	case "show":
		return b.show(ctx, m, lang, names)
	case "close":
		return b.close(ctx, m, lang, names.ThreadID, me)
	case "reopen":
		return b.reopen(ctx, m, lang, names, me)
	case "block", "address":
		return b.block(ctx, m, lang, names.ThreadID, verb == "address", me)
	case "unblock":
		return b.unblock(ctx, m, lang, names, me)
	}
	return nil
}
