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

func TestShortIDs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		first, fresh, err := s.TelegramThread(t.Context(), id)
		if err != nil || !fresh || len(first.ShortID) != 7 || strings.Contains(id, first.ShortID) {
			t.Fatalf("%+v, %v, %v", first, fresh, err)
		}
		inParallel(t, 8, func(int) error {
			same, fresh, err := s.TelegramThread(t.Context(), id)
			if err == nil && (fresh || same.ShortID != first.ShortID) {
				return fmt.Errorf("it became %+v", same)
			}
			return err
		})
		first.ChatID, first.TopicID, first.TopicName, first.TopicStatus = -100, 44, "Ayşe", models.StatusClosed
		if err := s.SetTopic(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for name, find := range map[string]func() (models.TelegramThread, error){
			"short id": func() (models.TelegramThread, error) {
				return s.TelegramThreadByShortID(t.Context(), first.ShortID)
			},
			"topic": func() (models.TelegramThread, error) { return s.TelegramThreadByTopic(t.Context(), -100, 44) },
		} {
			if got, err := find(); err != nil || got.ThreadID != id || got.TopicName != "Ayşe" || got.TopicStatus != models.StatusClosed {
				t.Errorf("by %s: %+v, %v", name, got, err)
			}
		}
		if _, err := s.TelegramThreadByTopic(t.Context(), -100, 45); err != models.ErrNotFound {
			t.Errorf("another topic: %v", err)
		}
	})
}

func TestUpdatesAreRecordedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		record := func(ids ...int64) {
			t.Helper()
			var list []models.ReceivedUpdate
			for _, id := range ids {
				list = append(list, models.ReceivedUpdate{BotID: 1, UpdateID: id, Payload: fmt.Sprintf(`{"text":"private %d"}`, id)})
			}
			if err := s.RecordUpdates(t.Context(), list); err != nil {
				t.Fatal(err)
			}
		}
		pending := func() (list []models.ReceivedUpdate, short string) {
			t.Helper()
			list, err := s.PendingUpdates(t.Context(), 1, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range list {
				short += fmt.Sprint(u.UpdateID, u.Payload, u.Tries, " ")
			}
			return list, short
		}
		record()
		record(11, 10)
		record(10, 12)
		list, got := pending()
		if want := `10{"text":"private 10"}0 11{"text":"private 11"}0 12{"text":"private 12"}0 `; got != want {
			t.Fatalf("pending %q", got)
		}
		var stored string
		if err := storetest.Raw(t, s).QueryRow("SELECT payload FROM telegram_updates WHERE update_id = 10").Scan(&stored); err != nil || strings.Contains(stored, "private") {
			t.Errorf("stored as %q, %v", stored, err)
		}
		if err := s.UpdateDone(t.Context(), list[0], time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.UpdateTried(t.Context(), list[1]); err != nil {
			t.Fatal(err)
		}
		record(10)
		if _, got := pending(); got != `11{"text":"private 11"}1 12{"text":"private 12"}0 ` {
			t.Errorf("pending %q", got)
		}
		if err := storetest.Raw(t, s).QueryRow("SELECT payload FROM telegram_updates WHERE update_id = 10").Scan(&stored); err != nil || stored != "" {
			t.Errorf("a done one still says %q, %v", stored, err)
		}
		if list, err := s.PendingUpdates(t.Context(), 2, 10); err != nil || len(list) != 0 {
			t.Errorf("another bot: %v, %v", list, err)
		}
		if n, err := s.PurgeUpdates(t.Context(), time.Now().Add(time.Hour)); err != nil || n != 1 {
			t.Errorf("purged %d, %v", n, err)
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

func TestEditMessage(t *testing.T) {
	withBot(t, func(t *testing.T, s *models.Store) {
		id, other := thread(t, s, 1).ID, thread(t, s, 2).ID
		first := say(t, s, id, "frist").Message
		last := post(t, s, models.NewMessage{ThreadID: id, ContentText: "lsat", SenderType: "telegram"}).Message
		if _, _, err := s.Messages(t.Context(), id, models.MessageQuery{}); err != nil { // fills the cache
			t.Fatal(err)
		}
		when := time.Now()
		for m, text := range map[models.Message]string{first: "first", last: repeat("l", 300)} {
			got, err := s.EditMessage(t.Context(), id, m.ID, text, when)
			if err != nil || got.ContentText != text || got.EditedAt == nil || got.ID != m.ID || got.SenderType != m.SenderType {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		list, _, err := s.Messages(t.Context(), id, models.MessageQuery{})
		if err != nil || !slices.Equal(texts(list), []string{"first", repeat("l", 300)}) || list[0].EditedAt == nil ||
			!list[0].EditedAt.Equal(when.UTC().Truncate(time.Millisecond)) {
			t.Errorf("history %+v, %v", list, err)
		}
		if th := readThread(t, s, id); th.LastMessage != repeat("l", models.LastMessageRunes) {
			t.Errorf("the list shows %q", th.LastMessage)
		}
		if _, got := outbox(t, s); len(got) != 2 || got[1] != fmt.Sprintf("edit %s %d", id, first.ID) {
			t.Errorf("outbox %v", got)
		}
		if _, err := s.EditMessage(t.Context(), other, first.ID, "x", when); err != models.ErrNotFound {
			t.Errorf("through another thread: %v", err)
		}
		if _, err := s.EditMessage(t.Context(), id, first.ID, repeat("x", models.MaxContentText+1), when); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("too long: %v", err)
		}
	})
}

func TestSettings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		for _, want := range []string{"", "on", "off"} {
			if want != "" {
				if err := s.SetSetting(t.Context(), "away", want); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := s.Setting(t.Context(), "away"); err != nil || got != want {
				t.Errorf("it stands at %q, want %q, %v", got, want, err)
			}
		}
		if got, err := s.Setting(t.Context(), "other"); err != nil || got != "" {
			t.Errorf("another: %q, %v", got, err)
		}
	})
}
