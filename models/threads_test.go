package models_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

func TestThreadIsStoredWithItsUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		before := time.Now().Add(-time.Second)
		made, err := s.CreateThread(t.Context(), models.NewThread{
			ID: "t1", DisplayName: "Ayşe", PhoneNumber: "+90 555 000 11 22", PageURL: "https://example.com/a", Locale: "tr",
		})
		if err != nil {
			t.Fatal(err)
		}
		got := readThread(t, s, "t1")
		if got != made {
			t.Fatalf("read %+v, created %+v", got, made)
		}
		if got.UserID == 0 || got.Status != models.StatusActive || got.DisplayName != "Ayşe" || got.Locale != "tr" {
			t.Fatalf("unexpected row %+v", got)
		}
		if got.CreatedAt.Before(before) || got.CreatedAt.Location() != time.UTC || !got.LastActivity.Equal(got.CreatedAt) {
			t.Fatalf("unexpected times %v %v", got.CreatedAt, got.LastActivity)
		}
		if _, err := s.CreateThread(t.Context(), models.NewThread{ID: "t1"}); !errors.Is(err, models.ErrExists) {
			t.Fatalf("a second thread with the id gave %v", err)
		}
		if _, err := s.Thread(t.Context(), "t2"); !errors.Is(err, models.ErrNotFound) {
			t.Fatalf("a missing thread gave %v", err)
		}
	})
}

func TestThreadsRefuseWhatTheTablesCannotHold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		long := repeat("ü", 101)
		for name, n := range map[string]models.NewThread{
			"no id":       {},
			"long id":     {ID: repeat("x", 51)},
			"long name":   {ID: "a", DisplayName: long},
			"broken text": {ID: "a", DisplayName: "\xff"},
			"nul":         {ID: "a", PhoneNumber: "1\x002"},
		} {
			var invalid *models.InvalidError
			if _, err := s.CreateThread(t.Context(), n); !errors.As(err, &invalid) || !errors.Is(err, models.ErrInvalid) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if _, err := s.CreateThread(t.Context(), models.NewThread{ID: "a", DisplayName: repeat("ü", 100)}); err != nil {
			t.Errorf("a name of 100 characters: %v", err)
		}
	})
}

func TestUpdateThreadChangesOnlyWhatIsNamed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		say(t, s, th.ID, "hello")
		readThread(t, s, th.ID) // fills the cache
		name, phone, closed, wrong := "İpek", "0555", models.StatusClosed, "gone"
		got, err := s.UpdateThread(t.Context(), th.ID, models.ThreadPatch{DisplayName: &name, PhoneNumber: &phone, Status: &closed})
		if err != nil {
			t.Fatal(err)
		}
		if got.DisplayName != name || got.PhoneNumber != phone || got.Status != closed || got.LastMessage != "hello" || got.MessageCount != 1 {
			t.Fatalf("after the update: %+v", got)
		}
		if cached := readThread(t, s, th.ID); cached.DisplayName != name || cached.Status != closed {
			t.Fatalf("the cache kept the old row: %+v", cached)
		}
		var stored string
		query := "SELECT phone_number FROM users WHERE id = " + itoa(th.UserID)
		if err := storetest.Raw(t, s).QueryRow(query).Scan(&stored); err != nil || stored != phone {
			t.Fatalf("the user's number is %q, %v", stored, err)
		}
		if _, err := s.UpdateThread(t.Context(), "none", models.ThreadPatch{DisplayName: &name}); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a missing thread gave %v", err)
		}
		if _, err := s.UpdateThread(t.Context(), th.ID, models.ThreadPatch{Status: &wrong}); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("an unknown status gave %v", err)
		}
	})
}

func TestThreadsListNewestMessageFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		base := time.Now().UTC().Truncate(time.Millisecond) // later times are those of a wrong clock
		const n = 25
		for i := range n {
			th := thread(t, s, i)
			// Pairs share a time, so the order is decided by id.
			post(t, s, models.NewMessage{ThreadID: th.ID, SenderType: models.Visitor, ContentText: "hi", CreatedAt: base.Add(time.Duration(i/2) * time.Millisecond)})
		}
		// Visitor activity does not change the order.
		for _, i := range []int{0, 7, 12} {
			if err := s.RecordActivity(t.Context(), threadID(i), base.Add(5*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		models.FlushActivity(s)
		if th := readThread(t, s, threadID(0)); !th.LastActivity.Equal(base.Add(5 * time.Second)) {
			t.Fatalf("last activity %v", th.LastActivity)
		}
		thread(t, s, 500) // a thread without messages
		var seen []string
		q := models.ThreadQuery{Limit: 7}
		for {
			list, err := s.Threads(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, th := range list {
				seen = append(seen, th.ID)
			}
			last := list[len(list)-1]
			q.Before, q.BeforeID = *last.LastMessageAt, last.ID
		}
		if len(seen) != n {
			t.Fatalf("paged through %d threads of %d", len(seen), n)
		}
		for i, id := range seen {
			if want := threadID(n - 1 - i); id != want {
				t.Fatalf("place %d holds %s, want %s", i, id, want)
			}
		}
		all, err := s.Threads(t.Context(), models.ThreadQuery{IncludeEmpty: true})
		if err != nil || len(all) != n+1 {
			t.Fatalf("with empty ones: %d threads, %v", len(all), err)
		}
	})
}

func TestThreadsSearchAndStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		for id, who := range map[string][2]string{
			"a": {"İPEK Şahin", "+90 (555) 111-22-33"},
			"b": {"ışık 100%", ""},
			"c": {"snake_case", ""},
		} {
			post(t, s, models.NewMessage{ThreadID: id, SenderType: models.Visitor, ContentText: "secret word", OpenThread: &models.NewThread{DisplayName: who[0], PhoneNumber: who[1]}})
		}
		closed, email := models.StatusClosed, "i.isik+1@example.com"
		if _, err := s.UpdateThread(t.Context(), "c", models.ThreadPatch{Status: &closed}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.UpdateThread(t.Context(), "b", models.ThreadPatch{Email: &email}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			q    models.ThreadQuery
			want string
		}{
			{models.ThreadQuery{Search: "ipek"}, "a"},
			{models.ThreadQuery{Search: "ŞAHİN"}, "a"},
			{models.ThreadQuery{Search: "IŞIK"}, "b"},
			{models.ThreadQuery{Search: "555111"}, "a"},
			{models.ThreadQuery{Search: "555 111"}, "a"},
			{models.ThreadQuery{Search: "(555) 11"}, "a"},
			{models.ThreadQuery{Search: "%"}, "b"},
			{models.ThreadQuery{Search: "_"}, "c"},
			{models.ThreadQuery{Search: `\`}, ""},
			{models.ThreadQuery{Search: "secret"}, ""},
			{models.ThreadQuery{Search: "ipek sahin"}, "a"},
			{models.ThreadQuery{Search: " Sahin\tipek "}, "a"},
			{models.ThreadQuery{Search: "sah 555 ipe"}, "a"},
			{models.ThreadQuery{Search: "ipek isik"}, ""},
			{models.ThreadQuery{Search: "isik"}, "b"},
			{models.ThreadQuery{Search: "I.Isik+1@Example.com"}, "b"},
			{models.ThreadQuery{Search: "i.isik+1@example.com ışık"}, "b"},
			{models.ThreadQuery{Search: "i.isik+1@example.com ipek"}, ""},
			{models.ThreadQuery{Search: "isik+1@example.com"}, ""},
			{models.ThreadQuery{Search: strings.Repeat("ipek ", 5000)}, "a"},
			{models.ThreadQuery{Status: models.StatusClosed}, "c"},
			{models.ThreadQuery{Status: models.StatusActive, Search: "case"}, ""},
		} {
			list, err := s.Threads(t.Context(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, th := range list {
				got += th.ID
			}
			if got != c.want {
				t.Errorf("%+v found %q, want %q", c.q, got, c.want)
			}
		}
	})
}

func TestReadMarksOnlyMoveForward(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		var ids []int64
		for range 5 {
			ids = append(ids, say(t, s, th.ID, "hi").Message.ID)
		}
		reply := post(t, s, models.NewMessage{ThreadID: th.ID, SenderType: models.Admin, ContentText: "yes?"})
		if reply.Thread.UnreadCount != 5 {
			t.Fatalf("unread %d, want 5: an answer is not a reading", reply.Thread.UnreadCount)
		}
		for _, c := range []struct {
			reader      string
			to          int64
			moved       bool
			mark, count int64
		}{
			{models.Admin, ids[2], true, ids[2], 2},
			{models.Admin, ids[1], false, ids[2], 2},
			{models.Admin, ids[2], false, ids[2], 2},
			{models.Admin, 0, false, ids[2], 2},
			{models.Admin, 1 << 60, true, reply.Message.ID, 0},
			{models.Admin, 1 << 61, false, reply.Message.ID, 0},
			{models.Visitor, reply.Message.ID, true, reply.Message.ID, 0},
			{models.Visitor, ids[0], false, reply.Message.ID, 0},
		} {
			_, moved, err := s.MarkRead(t.Context(), th.ID, c.reader, c.to)
			if err != nil || moved != c.moved {
				t.Fatalf("%s to %d: moved %v, %v", c.reader, c.to, moved, err)
			}
			got := readThread(t, s, th.ID)
			mark := got.AgentReadID
			if c.reader == models.Visitor {
				mark = got.VisitorReadID
			}
			if mark != c.mark || got.UnreadCount != c.count {
				t.Fatalf("%s to %d: mark %d unread %d, want %d and %d", c.reader, c.to, mark, got.UnreadCount, c.mark, c.count)
			}
		}
		if _, _, err := s.MarkRead(t.Context(), "none", models.Admin, 1); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a missing thread gave %v", err)
		}
		if _, _, err := s.MarkRead(t.Context(), th.ID, "missing", 1); !errors.Is(err, models.ErrInvalid) {
			t.Errorf("an unknown reader gave %v", err)
		}
		if again := say(t, s, th.ID, "more"); again.Thread.UnreadCount != 1 {
			t.Errorf("unread %d after one more message", again.Thread.UnreadCount)
		}
	})
}

func TestReadMarksUnderConcurrentReaders(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		var ids []int64
		for range 20 {
			ids = append(ids, say(t, s, th.ID, "hi").Message.ID)
		}
		inParallel(t, 20, func(i int) error {
			_, _, err := s.MarkRead(t.Context(), th.ID, models.Admin, ids[i])
			return err
		})
		if got := readThread(t, s, th.ID); got.AgentReadID != ids[19] || got.UnreadCount != 0 {
			t.Fatalf("mark %d unread %d", got.AgentReadID, got.UnreadCount)
		}
	})
}

func TestActivityIsCollectedAndWrittenLater(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		th := thread(t, s, 1)
		stored := func() (activity, seen time.Time) {
			t.Helper()
			err := storetest.Raw(t, s).QueryRow("SELECT t.last_activity, u.last_seen FROM threads t JOIN users u ON u.id = t.user_id").Scan(&activity, &seen)
			if err != nil {
				t.Fatal(err)
			}
			return activity.UTC(), seen.UTC()
		}
		at := th.LastActivity.Add(time.Hour)
		for _, when := range []time.Time{at, at.Add(-time.Minute)} { // an older activity time changes nothing
			if err := s.RecordActivity(t.Context(), th.ID, when); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.RecordActivity(t.Context(), "none", at); err != nil {
			t.Fatalf("a missing thread gave %v", err)
		}
		if activity, _ := stored(); !activity.Equal(th.LastActivity) {
			t.Fatal("activity was written at once")
		}
		if got := readThread(t, s, th.ID); !got.LastActivity.Equal(at) {
			t.Fatalf("read %v before the flush, want %v", got.LastActivity, at)
		}
		models.FlushActivity(s)
		if activity, seen := stored(); !activity.Equal(at) || !seen.Equal(at) {
			t.Fatalf("stored %v and %v, want %v", activity, seen, at)
		}
		if got := readThread(t, s, th.ID); !got.LastActivity.Equal(at) {
			t.Fatalf("read %v after the flush", got.LastActivity)
		}
	})
}

func TestCloseWritesActivity(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			s := storetest.Reopen(t, o)
			th := thread(t, s, 1)
			at := th.LastActivity.Add(time.Hour)
			if err := s.RecordActivity(t.Context(), th.ID, at); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.RecordActivity(t.Context(), th.ID, at); !errors.Is(err, models.ErrClosed) {
				t.Errorf("touching a closed store gave %v", err)
			}
			if got := readThread(t, storetest.Reopen(t, o), th.ID); !got.LastActivity.Equal(at) {
				t.Fatalf("last activity %v, want %v", got.LastActivity, at)
			}
		})
	}
}

func TestThreadCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		check := func(when string, want models.ThreadCounts) {
			t.Helper()
			if got, err := s.CountThreads(t.Context()); err != nil || got != want {
				t.Errorf("%s: %+v, %v, want %+v", when, got, err, want)
			}
		}
		check("nothing", models.ThreadCounts{})
		thread(t, s, 9) // a thread without messages
		closed := models.StatusClosed
		for i := range 4 {
			th := thread(t, s, i)
			say(t, s, th.ID, "hello")
			say(t, s, th.ID, "anybody?")
			switch i {
			case 1:
				if _, err := s.UpdateThread(t.Context(), th.ID, models.ThreadPatch{Status: &closed}); err != nil {
					t.Fatal(err)
				}
			case 2:
				if _, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: th.ID, ContentText: "yes", SenderType: models.Admin}); err != nil {
					t.Fatal(err)
				}
			}
		}
		check("one closed, one answered", models.ThreadCounts{Active: 3, Waiting: 2, Closed: 1, Unread: 8, Unassigned: 3})
		name := "Ayşe"
		for _, id := range []string{thread(t, s, 5).ID, thread(t, s, 6).ID} {
			say(t, s, id, "hello")
			if _, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{DisplayName: &name}); err != nil {
				t.Fatal(err)
			}
		}
		for search, want := range map[string]int64{"AYŞE": 2, "missing": 0, "": 6} {
			if got, err := s.CountFound(t.Context(), search); err != nil || got != want {
				t.Errorf("search %q: %d, %v, want %d", search, got, err, want)
			}
		}
	})
}
