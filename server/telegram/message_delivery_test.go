package telegram_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/telegram"
	"sohbet/server/telegram/telegramtest"
)

// Queued messages are combined; each of them can be replied to and edited individually.
func TestWaitingLinesAreSentTogether(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "first")
	topic := h.sent(1)[0].Topic
	h.bot.SetDown(true)
	failures := func() int64 { return h.bridge.Health(t.Context()).Failed }
	h.until("a failed poll", func() bool { return failures() > 0 }) // the next one is seconds later
	polls := failures()
	var lines []string
	for i := range 5 {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	ids := make([]int64, len(lines))
	for i, line := range lines {
		ids[i] = h.write(agent, a, line).ID
		if i == 0 {
			h.until("a failed attempt", func() bool { return failures() > polls })
		}
	}
	long := strings.Repeat("x", 4050) // cannot be combined with the others
	h.write(agent, a, long)
	h.write(ayse, a, "mine") // from another sender
	h.bot.SetDown(false)
	h.settled()
	sent := h.bot.Sent()
	var got []string
	for _, m := range sent[1:] {
		body := strings.Split(m.Text, "\n")
		got = append(got, strings.Join(body[1:len(body)-1], "|"))
	}
	// Those of the attempt that failed while Telegram was unreachable are retried alone: the first line, on a busy machine also the second.
	if len(got) != 4 || strings.Join(got[:2], "|") != strings.Join(lines, "|") || !strings.HasSuffix(got[1], "line 2|line 3|line 4") || got[2] != long || got[3] != "mine" {
		t.Fatalf("arrived %d messages: %.60q", len(got), got)
	}
	together := sent[2]
	// A reply to the combined message is forwarded, and editing one message keeps the others.
	h.bot.Say(telegramtest.In{Topic: topic, ReplyTo: together.ID, Text: "answer"})
	h.received(a, 9)
	if _, err := h.chatService.Edit(t.Context(), agent, a, ids[2], "line two"); err != nil {
		t.Fatal(err)
	}
	h.bot.Wait(t, patience, "the corrected line", func() bool { return strings.Contains(h.bot.Sent()[2].Text, "line two\nline 3") })
	// A message that has become too long to be combined is sent as a reply.
	if _, err := h.chatService.Edit(t.Context(), agent, a, ids[3], strings.Repeat("w", 4050)); err != nil {
		t.Fatal(err)
	}
	h.settled()
	all := h.bot.Sent()
	last := all[len(all)-1]
	if strings.Count(last.Text, "w") < 4050 || last.ReplyTo == nil || last.ReplyTo.ID != together.ID || strings.Contains(all[2].Text, "wwww") { // more than the random tag may have
		t.Errorf("the long correction came as %.80q, %d characters, a reply to %+v; the lines are %.80q", last.Text, len(last.Text), last.ReplyTo, all[2].Text)
	}
}

// The delivery mark does not pass an undelivered message.
func TestMarksStopBeforeWhatWasSetAside(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	first := h.write(ayse, a, "first")
	h.sent(1)
	h.settled()
	h.bot.Script(telegramtest.Fault{Method: "sendMessage", Text: "never", Status: 500, Times: -1})
	stuck := h.write(ayse, a, "never")
	last := h.write(ayse, a, "last")
	h.bot.Wait(t, patience, "what comes after it", func() bool {
		return slices.ContainsFunc(h.bot.Sent(), func(m telegramtest.Message) bool { return strings.Contains(m.Text, "\nlast\n") })
	})
	h.settled()
	mark := func() int64 {
		th, err := h.store.Thread(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return th.AgentReceivedID
	}
	if got := mark(); got < first.ID || got >= stuck.ID {
		t.Errorf("delivered up to %d; message %d did not arrive", got, stuck.ID)
	}
	if found := h.bridge.Health(t.Context()); found.Aside != 1 || found.Trouble.Reason != telegram.ReasonAside {
		t.Errorf("health %+v", found)
	}
	h.bot.NoFaults()
	if err := h.chatService.SendAgain(t.Context(), agent, a, stuck.ID); err != nil {
		t.Fatal(err)
	}
	h.until("the mark", func() bool { return mark() == last.ID })
}

// Messages queued by an earlier version are sent once and in order.
func TestTheOutboxOfAnOlderVersionIsSent(t *testing.T) {
	so := storetest.Options(t, "postgres")
	so.Telegram = true
	bot := telegramtest.New(t, telegramtest.Forum())
	before := newEnvOn(t, bot, storetest.Reopen(t, so))
	before.stop()
	ayse, a := before.visitor("Ayşe")
	want := []string{"one", "two", "three"}
	for _, text := range want {
		before.write(ayse, a, text)
	}
	db, err := sql.Open("pgx", so.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, st := range []string{
		`CREATE TABLE telegram_outbox (id bigserial PRIMARY KEY, thread_id varchar(50), message_id bigint, kind varchar(20), parts integer DEFAULT 0,
			tries integer DEFAULT 0, due_at timestamp, created_at timestamp)`,
		`INSERT INTO telegram_outbox (thread_id, message_id, kind, created_at) SELECT thread_id, message_id, kind, created_at FROM outbox ORDER BY id`,
		`DROP TABLE outbox`,
		`DELETE FROM schema_migrations WHERE id = 'outbox_0001_channels'`,
	} {
		if _, err := db.ExecContext(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	after := newEnvOn(t, bot, storetest.Reopen(t, so))
	after.settled()
	after.stop()
	for topic, list := range bodies(bot.Sent()) {
		if !slices.Equal(list, want) {
			t.Errorf("in topic %d: %q", topic, list)
		}
	}
	if n := len(bot.Sent()); n == 0 {
		t.Error("nothing was sent")
	}
}

// If the bot may write but not manage topics, messages do not wait for a topic to be renamed.
func TestATopicThatCannotBeChangedHoldsNoMessage(t *testing.T) {
	h := newEnv(t, telegramtest.Forum())
	ayse, a := h.visitor("Ayşe")
	h.write(ayse, a, "one")
	h.sent(1)
	h.settled()
	h.bot.Script(telegramtest.Fault{Method: "editForumTopic", Status: 400, About: "Bad Request: not enough rights to edit the topic", Times: -1})
	name := "Ayşe Hanım"
	if _, err := h.store.UpdateThread(t.Context(), a, models.ThreadPatch{DisplayName: &name}); err != nil {
		t.Fatal(err)
	}
	h.write(ayse, a, "two")
	h.sent(2)
	h.settled()
}
