package telegram_test

import (
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/chat"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

// member adds an agent to the team.
func (h *bridgeEnv) member(name string) models.Agent {
	h.t.Helper()
	a, err := h.store.AddAgent(h.t.Context(), models.Agent{Name: name, Role: models.RoleOwner})
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

func (h *bridgeEnv) code(a models.Agent) string {
	h.t.Helper()
	code, _, err := h.store.TelegramCode(h.t.Context(), models.AgentID(a.ID))
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// link links the account of a user, Operator if nil, to an agent.
func (h *bridgeEnv) link(a models.Agent, from *telegramtest.User) {
	h.t.Helper()
	m := h.ask(telegramtest.In{Text: "/link " + h.code(a), From: from})
	if !strings.Contains(m.Text, a.Name) {
		h.t.Fatalf("%q", m.Text)
	}
}

func (h *bridgeEnv) update(a models.Agent, p models.AgentPatch) {
	h.t.Helper()
	if _, err := h.store.UpdateAgent(h.t.Context(), a.ID, p); err != nil {
		h.t.Fatal(err)
	}
}

func (h *bridgeEnv) thread(id string) models.Thread {
	h.t.Helper()
	t, err := h.store.Thread(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return t
}

// newest returns the newest message of a thread.
func (h *bridgeEnv) newest(id string) models.Message {
	h.t.Helper()
	list, _, err := h.store.Messages(h.t.Context(), id, models.MessageQuery{Limit: 1})
	if err != nil || len(list) == 0 {
		h.t.Fatal(list, err)
	}
	return list[0]
}

func TestLinkingAnAccount(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ada, bob := h.member("Ada"), h.member("Bob")
	said := func(want string, in telegramtest.In) {
		t.Helper()
		if m := h.ask(in); !strings.Contains(m.Text, want) {
			t.Errorf("%s: %q", in.Text, m.Text)
		}
	}
	said("/link KOD", telegramtest.In{Text: "/link"})
	said("geçerli değil", telegramtest.In{Text: "/link ABCDEFGHIJ"})
	said("bağlı değil", telegramtest.In{Text: "/unlink"})
	n := len(h.bot.Sent())
	h.bot.Say(telegramtest.In{Text: "/link " + h.code(ada), As: &telegramtest.Chat{ID: telegramtest.GroupID, Type: "supergroup"}})
	if m := h.sent(n + 2)[n+1]; !strings.Contains(m.Text, "Kendi adınıza") { // after the message itself, which is from a bot too
		t.Errorf("%q", m.Text)
	}
	code := h.code(ada)
	said("Ada", telegramtest.In{Text: "/link " + code})
	if a, found := h.store.TelegramAgent(telegramtest.OperatorID); !found || a.ID != ada.ID {
		t.Fatalf("%+v", a)
	}

	said("Bağlandı", telegramtest.In{Text: "/link " + code}) // as after a crash before the answer

	// A person alone with the bot: only a code and /unlink have an effect, and answers go there.
	stranger := telegramtest.Stranger()
	group := len(h.bot.Sent())
	answers := func() (texts []string) {
		for _, m := range h.bot.MessagesIn(stranger.ID) {
			if m.From.IsBot {
				texts = append(texts, m.Text)
			}
		}
		return texts
	}
	for _, c := range []struct{ text, want string }{
		{"/threads", ""}, {"hello", ""}, {"/unlink", ""}, {"/link", ""}, {"/start", ""}, {"/link " + code, "not valid"}, // it was used
		{"/link " + h.code(bob), "Bob"}, {"/link " + h.code(ada), "linked to Bob"}, {"/unlink", "No longer linked to Bob"}, {"/unlink", ""},
		{"/link WRONGWRONG", "not valid"}, {"/link WRONGWRONG", "not valid"}, {"/link WRONGWRONG", ""}, // too many
	} {
		before := len(answers())
		h.bot.Say(telegramtest.In{Text: c.text, Chat: stranger.ID, From: &stranger})
		h.settled()
		got := strings.Join(answers()[before:], "|")
		if got == "" != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
	if _, found := h.store.TelegramAgent(stranger.ID); found {
		t.Error("still linked")
	}
	if n := len(h.bot.Sent()); n != group {
		t.Errorf("%d messages in the group", n-group)
	}
}

// What a linked account writes and does is the agent's, until it is unlinked or the agent is disabled.
func TestLinkedAccountsActAsTheirAgents(t *testing.T) {
	options := telegramtest.Forum()
	options.Admin = true
	h := newEnv(t, options)
	ada := h.member("Ada")
	id := models.AgentID(ada.ID)
	visitor, thread := h.visitor("Zeynep")
	question := h.write(visitor, thread, "anyone there?")
	first := h.sent(1)[0]
	h.link(ada, nil)

	answer := h.bot.Say(telegramtest.In{Topic: first.Topic, Text: "yes"})
	h.received(thread, 2)
	if m := h.newest(thread); m.AgentID != id || m.SenderType != "telegram" || h.thread(thread).AssigneeID != id {
		t.Errorf("%+v, assigned to %d", m, h.thread(thread).AssigneeID)
	}
	shown := false
	for _, p := range h.recorder.Take() {
		for _, e := range p.Thread {
			if m, ok := e.Payload.(chat.Message); ok && m.ContentText == "yes" {
				shown = m.Agent != nil && m.Agent.Name == "Ada"
			}
		}
	}
	if !shown {
		t.Error("the visitor sees no name")
	}
	h.bot.Edit(answer.ID, "yes!")
	h.until("the edit", func() bool { return h.newest(thread).ContentText == "yes!" })
	h.bot.React(first.ID, "👍")
	h.until("the reaction", func() bool {
		m, err := h.store.Message(t.Context(), question.ID)
		return err == nil && m.Reaction == "👍" && m.ReactedBy == id
	})
	if m := h.newest(thread); m.EditedBy != id {
		t.Errorf("%+v", m)
	}
	h.ask(telegramtest.In{Topic: first.Topic, Text: "/close"})
	if got := h.thread(thread); got.Status != models.StatusClosed || got.StatusBy != id {
		t.Errorf("%+v", got)
	}

	other := telegramtest.User{ID: 77, FirstName: "Bob", LanguageCode: "en"}
	h.member("Owner")
	disabled, enabled := true, false
	h.update(ada, models.AgentPatch{Disabled: &disabled})
	for i, c := range []struct {
		from *telegramtest.User
		want models.AgentID
	}{{nil, 0}, {&other, 0}, {nil, id}, {nil, 0}} {
		switch i {
		case 2:
			h.update(ada, models.AgentPatch{Disabled: &enabled})
		case 3:
			h.update(ada, models.AgentPatch{UnlinkTelegram: true})
		}
		h.write(visitor, thread, "again") // reopens the topic
		h.settled()
		n := len(h.history(thread))
		h.bot.Say(telegramtest.In{Topic: first.Topic, Text: "an answer", From: c.from})
		h.received(thread, n+1)
		if m := h.newest(thread); m.AgentID != c.want {
			t.Errorf("answer %d is by %d", i, m.AgentID)
		}
	}
}

func TestTakeGiveAndMine(t *testing.T) {
	so := storetest.Options(t, "sqlite")
	so.Telegram, so.TopicAssignees = true, true
	h := newEnvOn(t, telegramtest.New(t, telegramtest.Forum()), storetest.Reopen(t, so), func(o *telegram.Options) { o.TopicAssignees = true })
	ada, bob := h.member("Ada"), h.member("Bob Özgür")
	visitor, thread := h.visitor("Zeynep")
	h.write(visitor, thread, "anyone there?")
	topic := h.sent(1)[0].Topic
	in := func(text string) telegramtest.Message { return h.ask(telegramtest.In{Topic: topic, Text: text}) }
	for _, command := range []string{"/take", "/give Bob", "/mine"} {
		if m := in(command); !strings.Contains(m.Text, "/link") {
			t.Errorf("%s without a link: %q", command, m.Text)
		}
	}
	h.link(ada, nil)
	if m := h.ask(telegramtest.In{Text: "/take"}); !strings.Contains(m.Text, "Hangi konuşma") {
		t.Errorf("%q", m.Text)
	}
	if m := in("/mine"); !strings.Contains(m.Text, "Açık konuşma yok") {
		t.Errorf("%q", m.Text)
	}
	if m := in("/take"); !strings.Contains(m.Text, "Ada") || h.thread(thread).AssigneeID != models.AgentID(ada.ID) {
		t.Errorf("%q", m.Text)
	}
	named := func(name string) func() bool {
		return func() bool { list := h.bot.Topics(); return len(list) == 1 && list[0].Name == name }
	}
	h.bot.Wait(t, patience, "the assignee in the topic's name", named("Zeynep → Ada"))
	if m := in("/mine"); len(m.ReplyMarkup.Keyboard) != 1 || !strings.Contains(m.ReplyMarkup.Keyboard[0][0].Text, "Zeynep") {
		t.Errorf("%+v", m)
	}
	if m := in("/give Eve"); !strings.Contains(m.Text, "böyle biri yok") {
		t.Errorf("%q", m.Text)
	}
	if m := in("/give @bob özgür"); !strings.Contains(m.Text, "Bob Özgür") || h.thread(thread).AssigneeID != models.AgentID(bob.ID) {
		t.Errorf("%q", m.Text)
	}
	if m := in("/take"); !strings.Contains(m.Text, "Bob Özgür üstlendi") || h.thread(thread).AssigneeID != models.AgentID(bob.ID) {
		t.Errorf("%q", m.Text)
	}
}

// With RefuseUnlinked those without a link read, and what they write stays in the chat.
func TestUnlinkedAccountsAreRefused(t *testing.T) {
	options := telegramtest.Forum()
	options.Admin = true
	h := newEnv(t, options, func(o *telegram.Options) { o.RefuseUnlinked = true })
	ada := h.member("Ada")
	visitor, thread := h.visitor("Zeynep")
	question := h.write(visitor, thread, "anyone there?")
	first := h.sent(1)[0]
	if m := h.ask(telegramtest.In{Topic: first.Topic, Text: "an answer"}); !strings.Contains(m.Text, "/link") {
		t.Errorf("%q", m.Text)
	}
	for _, text := range []string{"another", "/close", "/block", "/offline"} { // once per minute is enough
		h.bot.Say(telegramtest.In{Topic: first.Topic, Text: text})
	}
	h.bot.React(first.ID, "👍")
	h.bot.CloseTopic(first.Topic)
	h.settled()
	list := h.ask(telegramtest.In{Text: "/threads"})
	h.press(list, "show")
	m, err := h.store.Message(t.Context(), question.ID)
	if got := h.thread(thread); len(h.history(thread)) != 1 || got.Status != models.StatusActive || h.store.Blocked(thread, "") || h.chatService.Away() || err != nil || m.Reaction != "" {
		t.Errorf("%+v, %v, %v", got, h.history(thread), m.Reaction)
	}
	h.bot.Wait(t, patience, "the topic open again", func() bool { return !h.bot.Topics()[0].Closed })
	if n := len(h.bot.Sent()); n != 4 { // the question, one hint, the list, its thread
		t.Errorf("%d messages from the bot", n)
	}
	h.link(ada, nil)
	h.bot.Say(telegramtest.In{Topic: first.Topic, Text: "now"})
	if got := h.received(thread, 2); got[1] != "telegram: now" {
		t.Errorf("%v", got)
	}
}
