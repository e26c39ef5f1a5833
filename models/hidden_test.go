package models_test

import (
	"errors"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// someThread stores a thread with everything that refers to one, and returns its messages.
func someThread(t *testing.T, s *models.Store, id string) []models.Message {
	t.Helper()
	var list []models.Message
	for _, m := range []models.NewMessage{
		{ClientID: "c1", ContentText: "first", SenderType: models.Visitor, OpenThread: &models.NewThread{DisplayName: "Ada", PhoneNumber: "5550000"}},
		{ContentText: "second", SenderType: models.Admin},
		{ContentType: "file", FileURL: "/uploads/" + id, SenderType: models.Visitor},
	} {
		m.ThreadID = id
		list = append(list, post(t, s, m).Message)
	}
	if _, err := s.AddUpload(t.Context(), models.Upload{URL: "/uploads/" + id, Kind: "file"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AddNote(t.Context(), models.Note{ThreadID: id, ContentText: "note"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(t.Context(), models.TelegramLink{ThreadID: id, ChatID: 1, TelegramMessageID: list[0].ID, MessageID: list[0].ID}); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(t.Context(), models.TelegramLink{ThreadID: id, ChatID: 1, TelegramMessageID: 1000 + list[0].ID}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.TelegramThread(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Messages(t.Context(), id, models.MessageQuery{}); err != nil { // fills the cache
		t.Fatal(err)
	}
	return list
}

// unreadable checks that no query returns any of the messages of a thread.
func unreadable(t *testing.T, s *models.Store, id string, messages []models.Message) {
	t.Helper()
	ctx, first, last := t.Context(), messages[0], messages[len(messages)-1]
	for name, q := range map[string]models.MessageQuery{
		"newest": {}, "oldest": {Oldest: true}, "before": {BeforeID: last.ID + 1}, "after": {AfterID: first.ID - 1}, "many": {Limit: 1000},
	} {
		if list, more, err := s.Messages(ctx, id, q); err != nil || len(list) != 0 || more {
			t.Errorf("%s: %v, %v, %v", name, texts(list), more, err)
		}
	}
	if list, more, err := s.MessagesBetween(ctx, id, 0, last.ID, 100); err != nil || len(list) != 0 || more {
		t.Errorf("between: %v, %v", texts(list), err)
	}
	if list, n, err := s.MessagePage(ctx, id, 1, 100); err != nil || len(list) != 0 || n != 0 {
		t.Errorf("page: %v, %d, %v", texts(list), n, err)
	}
	if _, err := s.EditMessage(ctx, id, first.ID, "edited", 0, time.Now()); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("edit: %v", err)
	}
	if _, err := s.SetReaction(ctx, id, first.ID, "👍", 0); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("reaction: %v", err)
	}
	for _, m := range messages {
		if _, err := s.Message(ctx, m.ID); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("message: %v", err)
		}
	}
	if _, err := s.Linked(ctx, 1, first.ID); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("link: %v", err)
	}
	if links, err := s.LinksOf(ctx, first.ID); err != nil || len(links) != 0 {
		t.Errorf("links: %v, %v", links, err)
	}
	if ids, err := s.LinkedMessages(ctx, 1, first.ID); err != nil || len(ids) != 0 {
		t.Errorf("linked messages: %v, %v", ids, err)
	}
	if notes, err := s.Notes(ctx, id); err != nil || len(notes) != 0 {
		t.Errorf("notes: %v, %v", notes, err)
	}
	if files, err := s.Uploads(ctx, []string{"/uploads/" + id}); err != nil || len(files) != 0 {
		t.Errorf("files: %v, %v", files, err)
	}
	if rows, err := s.OutboxRows(ctx, models.ChannelTelegram, models.OutboxKey{ThreadID: id}, 100); err != nil || len(rows) != 0 {
		t.Errorf("outbox: %v, %v", rows, err)
	}
}

// missing checks that no query returns a thread.
func missing(t *testing.T, s *models.Store, id string) {
	t.Helper()
	ctx, status := t.Context(), models.StatusClosed
	for name, err := range map[string]error{
		"thread": func() error { _, err := s.Thread(ctx, id); return err }(),
		"update": func() error { _, err := s.UpdateThread(ctx, id, models.ThreadPatch{Status: &status}); return err }(),
		"read":   func() error { _, _, err := s.MarkRead(ctx, id, models.Admin, 1); return err }(),
		"block":  func() error { _, err := s.Block(ctx, id, false, 0); return err }(),
		"note":   func() error { _, _, err := s.AddNote(ctx, models.Note{ThreadID: id, ContentText: "x"}); return err }(),
		"post": func() error {
			_, err := s.AppendWait(ctx, models.NewMessage{ThreadID: id, SenderType: models.Admin})
			return err
		}(),
		"telegram": func() error { _, _, err := s.TelegramThread(ctx, id); return err }(),
		"identify": func() error { _, err := s.Identify(ctx, id, "u1"); return err }(),
		"clear":    func() error { _, err := s.StartClear(ctx, id, 0); return err }(),
		"delete":   func() error { _, err := s.StartDelete(ctx, id, 0); return err }(),
	} {
		if !errors.Is(err, models.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, q := range []models.ThreadQuery{{}, {IncludeEmpty: true}, {Search: "Ada"}, {Status: models.StatusWaiting}} {
		if list, err := s.Threads(ctx, q); err != nil || len(list) != 0 {
			t.Errorf("%+v: %v, %v", q, list, err)
		}
	}
	if c, err := s.CountThreads(ctx); err != nil || c != (models.ThreadCounts{}) {
		t.Errorf("counts: %+v, %v", c, err)
	}
	if n, err := s.CountFound(ctx, "Ada"); err != nil || n != 0 {
		t.Errorf("found: %d, %v", n, err)
	}
	other, err := s.CreateThread(ctx, models.NewThread{ID: "other of " + id, PhoneNumber: "5550000"})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.Person(ctx, other); err != nil || len(p.Earlier) != 0 {
		t.Errorf("related: %+v, %v", p, err)
	}
}

// What is deleted is unreadable in the moment in which the deletion is confirmed, by every process, before any row is deleted.
func TestDeletedIsUnreadableAtOnce(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			for kind, start := range map[string]func(*models.Store, string) (models.Job, error){
				models.JobClear:  func(s *models.Store, id string) (models.Job, error) { return s.StartClear(t.Context(), id, 0) },
				models.JobDelete: func(s *models.Store, id string) (models.Job, error) { return s.StartDelete(t.Context(), id, 0) },
				models.JobClearAll: func(s *models.Store, _ string) (models.Job, error) {
					j, n, err := s.StartClearAll(t.Context(), 0)
					if n != 1 {
						t.Errorf("%d threads", n)
					}
					return j, err
				},
			} {
				t.Run(kind, func(t *testing.T) {
					o := storetest.Options(t, dialect)
					o.Telegram, o.CacheTTL = true, time.Minute
					s := storetest.Reopen(t, o)
					id := threadID(1)
					messages := someThread(t, s, id)
					j, err := start(s, id)
					if err != nil || j.Kind != kind || j.Total != 3 || !j.Unfinished() {
						t.Fatalf("%+v, %v", j, err)
					}
					if n := countRows(t, s, "messages"); n != 3 {
						t.Fatalf("%d rows", n)
					}
					o.Telegram = false
					for _, one := range []*models.Store{s, storetest.Reopen(t, o)} {
						unreadable(t, one, id, messages)
						if kind != models.JobClear {
							missing(t, one, id)
							if _, err := storetest.Raw(t, one).Exec("DELETE FROM threads WHERE id LIKE 'other of %'"); err != nil {
								t.Fatal(err)
							}
							continue
						}
						if th := readThread(t, one, id); th.MessageCount != 0 || th.UnreadCount != 0 || th.LastMessage != "" || th.WaitingSince != nil {
							t.Errorf("the thread says %+v", th)
						}
					}
					if kind == models.JobClear {
						if again, err := start(s, id); err != nil || again.ID != j.ID {
							t.Errorf("a second time: %+v, %v", again, err)
						}
					}

					// The visitor writes again, also with a client id of a deleted message; an earlier thread is opened again.
					next := post(t, s, models.NewMessage{ThreadID: id, ClientID: "c1", ContentText: "again", SenderType: models.Visitor, OpenThread: &models.NewThread{DisplayName: "Bob"}})
					th := next.Thread
					if next.Duplicate || next.Opened == (kind == models.JobClear) || th.MessageCount != 1 || th.UnreadCount != 1 || th.Sessions != 1 || (th.DisplayName == "Bob") != next.Opened {
						t.Errorf("again: %+v", next)
					}
					check := func() {
						t.Helper()
						if list, more, err := s.Messages(t.Context(), id, models.MessageQuery{}); err != nil || len(list) != 1 || more || list[0].ContentText != "again" {
							t.Errorf("history: %v, %v", texts(list), err)
						}
						if th := readThread(t, s, id); th.MessageCount != 1 || th.UnreadCount != 1 || th.LastMessage != "again" || th.WaitingSince == nil {
							t.Errorf("the thread says %+v", th)
						}
					}
					check()
					deleted := int64(0)
					if err := s.Erase(t.Context(), j.Subject, func(n int64) { deleted += n }); err != nil || deleted != 3 {
						t.Fatalf("deleted %d, %v", deleted, err)
					}
					models.FlushCache(s)
					check()
					if n, th := countRows(t, s, "messages"), countRows(t, s, "threads WHERE cleared_until > 0 OR deleted_at IS NOT NULL"); n != 1 || th != 0 {
						t.Errorf("%d messages, %d hidden threads", n, th)
					}
					if n := countRows(t, s, "users WHERE NOT EXISTS (SELECT 1 FROM threads WHERE user_id = users.id)"); kind != models.JobClear && n > 2 {
						t.Errorf("%d users without a thread", n) // those of the threads that the test deleted itself
					}
				})
			}
		})
	}
}

// A thread of which all that is left expires while its deleted messages still have rows.
func TestExpiryOfAClearedThread(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		for range 3 {
			at(t, s, id, "cleared", 40, "")
		}
		if _, err := s.StartClear(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		at(t, s, id, "expired", 40, "")
		if _, err := storetest.Raw(t, s).Exec("UPDATE messages SET created_at = '2100-01-01 00:00:00+00:00' WHERE id = (SELECT min(id) FROM messages)"); err != nil {
			t.Fatal(err)
		}
		if got := expire(t, s, 30); len(got) != 1 || !got[id].Cleared || len(got[id].Messages) != 1 {
			t.Errorf("expired %+v", got)
		}
		if _, err := s.Thread(t.Context(), id); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("the thread: %v", err)
		}
		if err := s.Erase(t.Context(), "", func(int64) {}); err != nil || countRows(t, s, "threads") != 0 || countRows(t, s, "messages") != 0 {
			t.Errorf("erase: %v", err)
		}
	})
}

// Of the processes that look for a job, one gets it; another gets it when the first is gone.
func TestClaimJob(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ctx := t.Context()
		claim := func(owner, former string) (models.Job, error) {
			return s.ClaimJob(ctx, owner, former, models.JobPrune, models.JobRekey)
		}
		if _, err := claim("server a", "server "); !errors.Is(err, models.ErrNotFound) {
			t.Fatalf("without jobs: %v", err)
		}
		first, err := s.StartJob(ctx, models.JobPrune, "30")
		if err != nil {
			t.Fatal(err)
		}
		if same, err := s.StartJob(ctx, models.JobPrune, "30"); err != nil || same.ID != first.ID {
			t.Errorf("twice: %+v, %v", same, err)
		}
		if _, err := s.StartJob(ctx, models.JobRekey, "another key"); err != nil { // only a process with that key can do it
			t.Fatal(err)
		}
		got, err := claim("server a", "server ")
		if err != nil || got.ID != first.ID || got.Owner != "server a" {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, err := claim("command", ""); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("taken: %v", err)
		}
		got.Done, got.State = 5, "{}"
		if err := s.KeepJob(ctx, got); err != nil {
			t.Fatal(err)
		}
		other := got
		other.Owner = "command"
		if err := s.KeepJob(ctx, other); !errors.Is(err, models.ErrLeaseLost) {
			t.Errorf("kept by another: %v", err)
		}
		if _, err := storetest.Raw(t, s).Exec("UPDATE jobs SET lease_until = '2020-01-01 00:00:00+00:00'"); err != nil {
			t.Fatal(err)
		}
		if got, err = claim("command", ""); err != nil || got.ID != first.ID || got.Done != 5 || got.State != "{}" {
			t.Fatalf("expired: %+v, %v", got, err)
		}
		if err := s.EndJob(ctx, got); err != nil {
			t.Fatal(err)
		}
		if j, err := s.Job(ctx, first.ID); err != nil || j.Unfinished() {
			t.Errorf("ended: %+v, %v", j, err)
		}
		if err := s.EndJob(ctx, got); !errors.Is(err, models.ErrLeaseLost) {
			t.Errorf("ended twice: %v", err)
		}
		if next, err := s.StartJob(ctx, models.JobPrune, "30"); err != nil || next.ID == first.ID {
			t.Errorf("the next: %+v, %v", next, err)
		}
		// The server that uses an SQLite file is the only one.
		if _, err := claim("server b", "server "); err != nil {
			t.Fatal(err)
		}
		_, err = claim("server c", "server ")
		if alone := s.Dialect() == "sqlite"; alone != (err == nil) {
			t.Errorf("after a restart: %v", err)
		}
	})
}

// What was deleted before a backup stays deleted in what is restored from it.
func TestDeletedStaysDeletedInABackup(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			from, to := storetest.Open(t, dialect), storetest.Open(t, dialect)
			kept := someThread(t, from, threadID(1))
			if _, err := from.StartClear(t.Context(), threadID(1), 0); err != nil {
				t.Fatal(err)
			}
			someThread(t, from, threadID(2))
			if _, err := from.StartDelete(t.Context(), threadID(2), 0); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := from.Dump(t.Context(), dir, func(string) {}); err != nil {
				t.Fatal(err)
			}
			if err := to.Load(t.Context(), dir, models.LoadOptions{}); err != nil {
				t.Fatal(err)
			}
			unreadable(t, to, threadID(1), kept)
			if _, err := to.Thread(t.Context(), threadID(2)); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("the deleted thread: %v", err)
			}
			list, err := to.Jobs(t.Context())
			if err != nil || len(list) != 1 || list[0].Kind != models.JobClearAll {
				t.Fatalf("jobs %+v, %v", list, err)
			}
			if err := to.Erase(t.Context(), list[0].Subject, func(int64) {}); err != nil || countRows(t, to, "messages") != 0 || countRows(t, to, "threads") != 1 {
				t.Errorf("%d messages left, %v", countRows(t, to, "messages"), err)
			}
		})
	}
}
