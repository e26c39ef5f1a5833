package models_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// withBot runs a test body with an empty store of a site that has a bot.
func withBot(t *testing.T, body func(t *testing.T, s *models.Store)) {
	t.Helper()
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			o.Telegram = true
			body(t, storetest.Reopen(t, o))
		})
	}
}

// outbox returns the pending rows, oldest first, and each as "kind thread message".
func outbox(t *testing.T, s *models.Store) (rows []models.OutboxRow, short []string) {
	t.Helper()
	keys, _, err := s.OutboxKeys(t.Context(), models.ChannelTelegram, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		of, err := s.OutboxRows(t.Context(), models.ChannelTelegram, k, 1000)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, of...)
	}
	slices.SortFunc(rows, func(a, b models.OutboxRow) int { return int(a.ID - b.ID) })
	for _, r := range rows {
		short = append(short, fmt.Sprintf("%s %s %d", r.Kind, r.ThreadID, r.MessageID))
	}
	return rows, short
}

func TestOutboxHoldsMessagesForTelegram(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		one, two := thread(t, s, 1).ID, thread(t, s, 2).ID
		var list []models.NewMessage
		for i := range 100 { // more rows than the largest prepared insert takes
			list = append(list, models.NewMessage{ThreadID: one, SenderType: models.Visitor, ContentText: fmt.Sprint(i), ClientID: fmt.Sprint(i)})
		}
		list = append(list,
			models.NewMessage{ThreadID: one, SenderType: models.Visitor, ContentText: "again", ClientID: "7"},
			models.NewMessage{ThreadID: one, SenderType: "telegram", ContentText: "written in Telegram"},
			models.NewMessage{ThreadID: one, SenderType: "system", ContentText: "by the system"},
			models.NewMessage{ThreadID: two, SenderType: models.Admin, ContentText: "from the console"})
		var notified []models.OutboxKey
		s.OutboxListen(models.ChannelTelegram, func(keys []models.OutboxKey, _ bool) { notified = append(notified, keys...) })
		stored, errs := models.AppendBatch(s, list)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		s.OutboxListen(models.ChannelTelegram, nil)
		if len(notified) != 101 || notified[0].ThreadID != one || notified[100].ThreadID != two {
			t.Errorf("the sender was notified of %d rows", len(notified))
		}
		var want []string
		for _, m := range stored[:100] {
			want = append(want, fmt.Sprintf("message %s %d", one, m.Message.ID))
		}
		want = append(want, fmt.Sprintf("message %s %d", two, stored[103].Message.ID))
		rows, got := outbox(t, s)
		if !slices.Equal(got, want) {
			t.Fatalf("outbox %v, want %v", got, want)
		}
		if off := time.Since(rows[0].CreatedAt); off < 0 || off > time.Minute {
			t.Errorf("a row is %v old", off)
		}
		backlog, err := s.OutboxBacklog(t.Context(), models.ChannelTelegram)
		if err != nil || backlog.Rows != 101 || !backlog.Oldest.Equal(rows[0].CreatedAt.UTC()) {
			t.Errorf("backlog %+v, %v", backlog, err)
		}
	})
}

func TestWithoutABotNothingIsQueued(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		say(t, s, id, "hello")
		closed := models.StatusClosed
		if _, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{Status: &closed}); err != nil {
			t.Fatal(err)
		}
		if n := countRows(t, s, "outbox"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestOutboxKeepsTheOrderOfEachThread(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		one, two := thread(t, s, 1).ID, thread(t, s, 2).ID
		a := say(t, s, one, "a").Message.ID
		b := say(t, s, one, "b").Message.ID
		c := say(t, s, two, "c").Message.ID
		line := func(thread string, id int64) string { return fmt.Sprintf("message %s %d", thread, id) }
		rows, got := outbox(t, s)
		if !slices.Equal(got, []string{line(one, a), line(one, b), line(two, c)}) {
			t.Fatalf("outbox %v", got)
		}
		key := models.OutboxKey{ThreadID: one}
		first := func() models.OutboxRow {
			t.Helper()
			list, err := s.OutboxRows(t.Context(), models.ChannelTelegram, key, 1)
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			return list[0]
		}
		if err := s.OutboxLater(t.Context(), rows[0].ID, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if r := first(); r.ID != rows[0].ID || r.Tries != 1 || r.DueAt == nil || time.Until(*r.DueAt) < 50*time.Minute {
			t.Errorf("put off: %+v", r)
		}
		if err := s.OutboxRetry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := first(); r.DueAt != nil {
			t.Errorf("woken: %+v", r)
		}
		keys, newest, err := s.OutboxKeys(t.Context(), models.ChannelTelegram, rows[1].ID)
		if err != nil || newest != rows[2].ID || !slices.Equal(keys, []models.OutboxKey{{ThreadID: two}}) {
			t.Errorf("after the second row: %v, %d, %v", keys, newest, err)
		}
		if keys, newest, err := s.OutboxKeys(t.Context(), "mail", 7); err != nil || len(keys) != 0 || newest != 7 {
			t.Errorf("another channel: %v, %d, %v", keys, newest, err)
		}
		// Half of a long message, then the rest.
		sent := func(rows []models.OutboxRow, id int64, part bool) int64 {
			t.Helper()
			links := make([]models.TelegramLink, len(rows))
			for i, r := range rows {
				links[i] = models.TelegramLink{ThreadID: one, ChatID: -5, TelegramMessageID: id, TopicID: 3, MessageID: r.MessageID}
			}
			upTo, err := s.OutboxSent(t.Context(), rows, links, part)
			if err != nil {
				t.Fatal(err)
			}
			return upTo
		}
		if upTo := sent(rows[:1], 70, true); upTo != a-1 {
			t.Errorf("after one part Telegram has all up to %d, want %d", upTo, a-1)
		}
		if r := first(); r.Parts != 1 || r.Tries != 0 {
			t.Errorf("after one part: %+v", r)
		}
		if upTo := sent(rows[:1], 71, false); upTo != b-1 {
			t.Errorf("after the first message Telegram has all up to %d, want %d", upTo, b-1)
		}
		if err := s.OutboxDone(t.Context(), rows[2].ID); err != nil {
			t.Fatal(err)
		}
		if _, got := outbox(t, s); !slices.Equal(got, []string{line(one, b)}) {
			t.Errorf("left: %v", got)
		}
		// Two messages that are one message in Telegram.
		d := say(t, s, one, "d").Message.ID
		both, _ := outbox(t, s)
		if upTo := sent(both, 72, false); upTo != d {
			t.Errorf("after all messages Telegram has all up to %d, want %d", upTo, d)
		}
		if ids, err := s.LinkedMessages(t.Context(), -5, 72); err != nil || !slices.Equal(ids, []int64{b, d}) {
			t.Errorf("message 72 shows %v, %v", ids, err)
		}
		links, err := s.LinksOf(t.Context(), a)
		if err != nil || len(links) != 2 || links[0].TelegramMessageID != 70 || links[1].TelegramMessageID != 71 {
			t.Errorf("links %+v, %v", links, err)
		}
		found, err := s.Linked(t.Context(), -5, 71)
		if err != nil || found.ThreadID != one || found.MessageID != a || found.TopicID != 3 {
			t.Errorf("link %+v, %v", found, err)
		}
		if _, err := s.Linked(t.Context(), -6, 71); err != models.ErrNotFound {
			t.Errorf("in another chat: %v", err)
		}
	})
}

func TestDeletedMessagesLeaveNothingForTelegram(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		kept, cleared, other := thread(t, s, 1).ID, thread(t, s, 2).ID, thread(t, s, 3).ID
		old := at(t, s, kept, "old", 40, "")
		young := at(t, s, kept, "young", 1, "")
		say(t, s, cleared, "x")
		say(t, s, other, "y")
		for _, id := range []string{kept, cleared} {
			if _, _, err := s.TelegramThread(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		rows, _ := outbox(t, s)
		for _, m := range []models.Message{old, young} {
			if err := s.Link(t.Context(), models.TelegramLink{ThreadID: kept, ChatID: 1, TelegramMessageID: m.ID, MessageID: m.ID}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Link(t.Context(), models.TelegramLink{ThreadID: cleared, ChatID: 1, TelegramMessageID: 9}); err != nil {
			t.Fatal(err)
		}
		expire(t, s, 30)
		if err := s.DeleteThread(t.Context(), cleared); err != nil {
			t.Fatal(err)
		}
		if _, got := outbox(t, s); len(got) != 2 || !strings.Contains(got[0], kept) || !strings.Contains(got[1], other) {
			t.Errorf("outbox %v", got)
		}
		if _, err := s.Linked(t.Context(), 1, old.ID); err != models.ErrNotFound {
			t.Errorf("the link of a deleted message: %v", err)
		}
		if _, err := s.Linked(t.Context(), 1, young.ID); err != nil {
			t.Errorf("the link of the other: %v", err)
		}
		if _, err := s.Linked(t.Context(), 1, 9); err != models.ErrNotFound {
			t.Errorf("the link of a cleared thread: %v", err)
		}
		if n := countRows(t, s, "telegram_threads"); n != 1 {
			t.Errorf("%d threads have names", n)
		}
		// Rows that were being sent while the thread was deleted.
		if upTo, err := s.OutboxSent(t.Context(), rows[2:3], []models.TelegramLink{{ThreadID: cleared, ChatID: 1, TelegramMessageID: 8}}, false); err != nil || upTo != 0 {
			t.Errorf("sent after it was cleared: %d, %v", upTo, err)
		}
		if _, _, err := s.TelegramThread(t.Context(), cleared); err != models.ErrNotFound {
			t.Errorf("names for a cleared thread: %v", err)
		}
		if _, err := s.ClearAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := countRows(t, s, "outbox") + countRows(t, s, "telegram_links") + countRows(t, s, "telegram_threads"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

func TestVisitorsReopenClosedThreads(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		if say(t, s, id, "first").Reopened {
			t.Error("it was open")
		}
		closed := models.StatusClosed
		if _, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{Status: &closed}); err != nil {
			t.Fatal(err)
		}
		if got := post(t, s, models.NewMessage{ThreadID: id, ContentText: "bye", SenderType: models.Admin}); got.Reopened || got.Thread.Status != models.StatusClosed {
			t.Errorf("an agent's message: %+v", got)
		}
		if got := say(t, s, id, "one thing more"); !got.Reopened || got.Thread.Status != models.StatusActive {
			t.Errorf("a visitor's message: %+v", got)
		}
		models.FlushCache(s)
		if th := readThread(t, s, id); th.Status != models.StatusActive {
			t.Errorf("stored as %s", th.Status)
		}
		_, got := outbox(t, s)
		var kinds []string
		for _, line := range got {
			kinds = append(kinds, strings.Fields(line)[0])
		}
		if want := []string{"message", "topic", "message", "topic", "message"}; !slices.Equal(kinds, want) {
			t.Errorf("outbox %v", kinds)
		}
	})
}
