package models_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

var stateTime = time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)

// state is what the rules decide.
type state struct {
	status             string
	waiting            int // seconds after stateTime; 0 = the visitor does not wait
	unread             int64
	sessions, answered int64
}

func stateOf(t models.Thread) state {
	s := state{status: t.Status, unread: t.UnreadCount, sessions: t.Sessions, answered: t.AnsweredSession}
	if t.WaitingSince != nil {
		s.waiting = int(t.WaitingSince.Sub(stateTime).Seconds())
	}
	return s
}

func (s state) thread() models.Thread {
	t := models.Thread{
		Status: s.status, UnreadCount: s.unread, Sessions: s.sessions, AnsweredSession: s.answered,
		LastMessageID: 10, MessageCount: 4, LastActivity: stateTime,
	}
	if s.waiting > 0 {
		at := stateTime.Add(time.Duration(s.waiting) * time.Second)
		t.WaitingSince = &at
	}
	return t
}

// Every kind of sender writes into every kind of thread, 60 seconds after stateTime.
func TestMessagesChangeTheState(t *testing.T) {
	const active, closed = models.StatusActive, models.StatusClosed
	for _, c := range []struct {
		name     string
		before   state
		sender   string
		after    state
		reopened bool
		first    int // seconds until the first answer of a session; -1 = it is not one
	}{
		{"the visitor opens", state{active, 0, 0, 0, 0}, models.Visitor, state{active, 60, 1, 1, 0}, false, -1},
		{"the visitor goes on waiting", state{active, 5, 1, 1, 0}, models.Visitor, state{active, 5, 2, 1, 0}, false, -1},
		{"the visitor replies", state{active, 0, 0, 1, 1}, models.Visitor, state{active, 60, 1, 1, 1}, false, -1},
		{"the visitor reopens", state{closed, 0, 2, 1, 1}, models.Visitor, state{active, 60, 3, 2, 1}, true, -1},
		{"the visitor opens a closed thread without sessions", state{closed, 0, 0, 0, 0}, models.Visitor, state{active, 60, 1, 1, 0}, true, -1},
		{"an agent answers first", state{active, 5, 2, 1, 0}, models.Admin, state{active, 0, 2, 1, 1}, false, 55},
		{"an operator answers first", state{active, 5, 2, 1, 0}, "telegram", state{active, 0, 2, 1, 1}, false, 55},
		{"an agent answers again in a session", state{active, 5, 1, 1, 1}, models.Admin, state{active, 0, 1, 1, 1}, false, -1},
		{"an agent answers first in a later session", state{active, 20, 1, 2, 1}, models.Admin, state{active, 0, 1, 2, 2}, false, 40},
		{"an agent goes on", state{active, 0, 0, 1, 1}, models.Admin, state{active, 0, 0, 1, 1}, false, -1},
		{"an agent writes first", state{active, 0, 0, 0, 0}, models.Admin, state{active, 0, 0, 0, 0}, false, -1},
		{"an agent writes into a closed thread", state{closed, 0, 1, 1, 0}, models.Admin, state{closed, 0, 1, 1, 1}, false, -1},
		{"an answer with an earlier clock", state{active, 90, 1, 1, 0}, models.Admin, state{active, 0, 1, 1, 1}, false, 0},
		{"a system message while waiting", state{active, 5, 1, 1, 0}, "system", state{active, 5, 1, 1, 0}, false, -1},
		{"a system message in a closed thread", state{closed, 0, 1, 1, 1}, "system", state{closed, 0, 1, 1, 1}, false, -1},
	} {
		before := c.before.thread()
		at := stateTime.Add(time.Minute)
		next, reopened, first := models.WithMessage(before, models.Message{ID: 11, SenderType: c.sender, ContentType: "text", ContentText: "hi", CreatedAt: at})
		if got := stateOf(next); got != c.after || reopened != c.reopened {
			t.Errorf("%s: %+v, reopened %v, want %+v", c.name, got, reopened, c.after)
		}
		if got := stateOf(before); got != c.before {
			t.Errorf("%s changed its argument to %+v", c.name, got)
		}
		waited := -1
		if first != nil {
			waited = int(first.WaitedMS / 1000)
		}
		if waited != c.first {
			t.Errorf("%s: the first answer took %d s, want %d", c.name, waited, c.first)
		}
		if next.LastMessageID != 11 || next.MessageCount != 5 || next.LastSender != c.sender || !next.LastActivity.Equal(at) || !next.LastMessageAt.Equal(at) || next.LastMessage != "hi" {
			t.Errorf("%s: %+v", c.name, next)
		}
	}
}

func TestStatusChangesTheState(t *testing.T) {
	for _, c := range []struct {
		before state
		status string
		after  state
	}{
		{state{models.StatusActive, 5, 1, 1, 0}, models.StatusClosed, state{models.StatusClosed, 0, 1, 1, 0}},
		{state{models.StatusActive, 5, 1, 1, 0}, models.StatusActive, state{models.StatusActive, 5, 1, 1, 0}},
		{state{models.StatusClosed, 0, 1, 1, 1}, models.StatusActive, state{models.StatusActive, 0, 1, 1, 1}},
		{state{models.StatusClosed, 0, 0, 0, 0}, models.StatusClosed, state{models.StatusClosed, 0, 0, 0, 0}},
	} {
		if got := stateOf(models.WithStatus(c.before.thread(), c.status, 0)); got != c.after {
			t.Errorf("%+v becomes %+v, want %+v", c.before, got, c.after)
		}
	}
}

// Marks only move forward, not past the newest message, and a read message counts as received.
func TestMarksMoveForward(t *testing.T) {
	type marks struct{ visitorRead, visitorReceived, agentRead, agentReceived, unread int64 }
	for _, c := range []struct {
		before       marks
		side, mark   string
		to           int64
		after        marks
		moved, count bool
	}{
		{marks{3, 4, 3, 4, 2}, models.Visitor, "received", 6, marks{3, 6, 3, 4, 2}, true, false},
		{marks{3, 4, 3, 4, 2}, models.Visitor, "received", 4, marks{3, 4, 3, 4, 2}, false, false},
		{marks{3, 4, 3, 4, 2}, models.Admin, "received", 99, marks{3, 4, 3, 10, 2}, true, false},
		{marks{3, 4, 3, 4, 2}, models.Visitor, "read", 99, marks{10, 10, 3, 4, 2}, true, false},
		{marks{3, 4, 3, 4, 2}, models.Visitor, "read", 2, marks{3, 4, 3, 4, 2}, false, false},
		{marks{3, 8, 3, 4, 2}, models.Visitor, "read", 6, marks{6, 8, 3, 4, 2}, true, false},
		{marks{3, 4, 3, 4, 2}, models.Admin, "read", 6, marks{3, 4, 6, 6, 2}, true, true},
		{marks{3, 4, 3, 4, 2}, models.Admin, "read", 10, marks{3, 4, 10, 10, 0}, true, false},
		{marks{3, 4, 3, 4, 2}, models.Admin, "read", 99, marks{3, 4, 10, 10, 0}, true, false},
		{marks{3, 4, 3, 2, 2}, models.Admin, "read", 3, marks{3, 4, 3, 3, 2}, false, false},
	} {
		th := models.Thread{
			LastMessageID: 10, VisitorReadID: c.before.visitorRead, VisitorReceivedID: c.before.visitorReceived,
			AgentReadID: c.before.agentRead, AgentReceivedID: c.before.agentReceived, UnreadCount: c.before.unread,
		}
		var moved, count bool
		if c.mark == "read" {
			th, moved, count = models.WithRead(th, c.side, c.to)
		} else {
			th, moved = models.WithReceived(th, c.side, c.to)
		}
		got := marks{th.VisitorReadID, th.VisitorReceivedID, th.AgentReadID, th.AgentReceivedID, th.UnreadCount}
		if got != c.after || moved != c.moved || count != c.count {
			t.Errorf("%s %s %d: %+v becomes %+v, moved %v, count %v", c.side, c.mark, c.to, c.before, got, moved, count)
		}
	}
}

// conversation is a thread in which each message has a sender of its own.
type conversation struct {
	id       string
	senders  []string
	messages []models.Message
}

// replay applies the rules to the messages from one on, after agents read as far as readID.
func (c *conversation) replay(from int, readID int64) models.Thread {
	th := models.Thread{Status: models.StatusActive}
	for i := range c.messages[from:] {
		m := c.messages[from+i]
		if m.ID > readID && (i == 0 || c.messages[from+i-1].ID <= readID) {
			th, _, _ = models.WithRead(th, models.Admin, readID)
		}
		th, _, _ = models.WithMessage(th, m)
	}
	th, _, _ = models.WithRead(th, models.Admin, readID)
	return th
}

// conversations stores one for every combination of three senders.
func conversations(t *testing.T, s *models.Store) (all []*conversation) {
	t.Helper()
	senders := []string{models.Visitor, models.Admin, "telegram", "system"}
	for i := range len(senders) * len(senders) * len(senders) {
		c := &conversation{senders: []string{senders[i%4], senders[i/4%4], senders[i/16]}}
		c.id = strings.Join(c.senders, "-")
		all = append(all, c)
	}
	for n := range 3 {
		batch := make([]models.NewMessage, len(all))
		for i, c := range all {
			batch[i] = models.NewMessage{
				ThreadID: c.id, SenderType: c.senders[n], ContentText: fmt.Sprint(n), OpenThread: &models.NewThread{},
				CreatedAt: stateTime.Add(time.Duration(n+1) * time.Second),
			}
		}
		stored, errs := models.AppendBatch(s, batch)
		for i, c := range all {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			c.messages = append(c.messages, stored[i].Message)
		}
	}
	return all
}

// What the database holds is what the rules say, including what queries compute by the same rules: unread messages after agents read a
// part of them, and since when the visitor waits after messages were deleted.
func TestQueriesFollowTheRulesOfTheState(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		all := conversations(t, s)
		stored := func(c *conversation) models.Thread {
			t.Helper()
			return readThread(t, s, c.id)
		}
		check := func(when string, c *conversation, want models.Thread) {
			t.Helper()
			got := stored(c)
			if stateOf(got) != stateOf(want) || got.MessageCount != want.MessageCount || got.LastMessage != want.LastMessage ||
				got.LastSender != want.LastSender || !reflect.DeepEqual(got.LastMessageAt, want.LastMessageAt) {
				t.Errorf("%s, %s: stored %+v, want %+v, in %+v", when, c.id, stateOf(got), stateOf(want), got)
			}
		}
		models.FlushCache(s)
		for _, c := range all {
			check("stored", c, c.replay(0, 0))
		}
		for n := range 2 {
			inParallel(t, len(all), func(i int) error {
				_, _, err := s.MarkRead(t.Context(), all[i].id, models.Admin, all[i].messages[n].ID)
				return err
			})
			models.FlushCache(s)
			for _, c := range all {
				check(fmt.Sprintf("read as far as message %d", n+1), c, c.replay(0, c.messages[n].ID))
			}
		}
		for n := range 2 {
			for more := true; more; {
				var err error
				if _, more, err = s.Expire(t.Context(), stateTime.Add(time.Duration(n+1)*time.Second+time.Millisecond)); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range all {
				want := c.replay(n+1, c.messages[1].ID)
				want.Sessions, want.AnsweredSession = stored(c).Sessions, stored(c).AnsweredSession // these count deleted messages too
				check(fmt.Sprintf("without message %d", n+1), c, want)
			}
		}
		status, reopened := models.StatusClosed, make([]models.NewMessage, len(all))
		for i, c := range all {
			before := stored(c)
			if _, err := s.UpdateThread(t.Context(), c.id, models.ThreadPatch{Status: &status}); err != nil {
				t.Fatal(err)
			}
			check("closed", c, models.WithStatus(before, status, 0))
			reopened[i] = models.NewMessage{ThreadID: c.id, SenderType: models.Visitor, ContentText: "again", CreatedAt: stateTime.Add(time.Minute)}
		}
		closed := make([]models.Thread, len(all))
		for i, c := range all {
			closed[i] = stored(c)
		}
		results, _ := models.AppendBatch(s, reopened)
		for i, c := range all {
			want, again, _ := models.WithMessage(closed[i], results[i].Message)
			if !again || !results[i].Reopened {
				t.Errorf("%s is not reopened: %v, %v", c.id, again, results[i].Reopened)
			}
			check("reopened", c, want)
		}
	})
}
