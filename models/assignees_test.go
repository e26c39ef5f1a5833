package models_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

func anyone(models.AgentID) bool { return true }

func TestAssign(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ada := models.AgentID(addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner}).ID)
		bob := models.AgentID(addAgent(t, s, models.Agent{Name: "Bob", Role: models.RoleAgent}).ID)
		th := thread(t, s, 1)
		for _, to := range []models.AgentID{ada, ada, bob, 0, bob} {
			before := readThread(t, s, th.ID)
			after, err := s.Assign(t.Context(), th.ID, to, func(present models.AgentID) bool { return present == before.AssigneeID }, nil)
			if err != nil || after.AssigneeID != to || (after.Rev > before.Rev) != (to != before.AssigneeID) {
				t.Errorf("assigned to %d: %+v, %v", to, after, err)
			}
			if stored := readThread(t, s, th.ID); stored.AssigneeID != to {
				t.Errorf("stored %+v", stored)
			}
		}
		same, err := s.Assign(t.Context(), th.ID, ada, func(present models.AgentID) bool { return present == 0 }, nil)
		if !errors.Is(err, models.ErrAssigned) || same.AssigneeID != bob || same.DisplayName != th.DisplayName {
			t.Errorf("%+v, %v", same, err)
		}
		if _, err := s.Assign(t.Context(), "missing", ada, anyone, nil); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("a missing thread: %v", err)
		}
		if moved, err := s.Assign(t.Context(), th.ID, 0, anyone, nil); err != nil || moved.AssigneeID != 0 {
			t.Errorf("%+v, %v", moved, err)
		}
		var null bool
		if err := storetest.Raw(t, s).QueryRow("SELECT assignee_id IS NULL FROM threads").Scan(&null); err != nil || !null {
			t.Errorf("stored as null: %v, %v", null, err)
		}
	})
}

// Who answers first takes a thread without assignee; other messages change nothing.
func TestAnswerAssigns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ada := models.AgentID(addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner}).ID)
		bob := models.AgentID(addAgent(t, s, models.Agent{Name: "Bob", Role: models.RoleAgent}).ID)
		id := thread(t, s, 1).ID
		for _, c := range []struct {
			sender   string
			by, want models.AgentID
			assigned bool
		}{
			{models.Visitor, 0, 0, false}, {models.Admin, 0, 0, false}, {"telegram", 0, 0, false},
			{models.Admin, bob, bob, true}, {models.Admin, ada, bob, false}, {models.Visitor, 0, bob, false},
		} {
			res := post(t, s, models.NewMessage{ThreadID: id, SenderType: c.sender, AgentID: c.by})
			models.FlushCache(s)
			if stored := readThread(t, s, id); res.Assigned != c.assigned || res.Thread.AssigneeID != c.want || stored.AssigneeID != c.want {
				t.Errorf("%+v: %+v, stored %+v", c, res, stored)
			}
		}
		closed := models.StatusClosed
		if th, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{Status: &closed}); err != nil || th.AssigneeID != bob {
			t.Errorf("closed %+v, %v", th, err)
		}
		if res := say(t, s, id, "again"); !res.Reopened || res.Thread.AssigneeID != bob {
			t.Errorf("reopened %+v", res)
		}
	})
}

// Of many agents of several processes who take the same threads at once, one gets each thread, also while others answer.
func TestOneTakesAThread(t *testing.T) {
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			o := storetest.Options(t, dialect)
			stores := []*models.Store{storetest.Reopen(t, o)}
			if dialect == "postgres" {
				stores = append(stores, storetest.Reopen(t, o), storetest.Reopen(t, o))
			}
			const threads, takers = 50, 4
			var agents [takers]models.AgentID
			for i := range agents {
				agents[i] = models.AgentID(addAgent(t, stores[0], models.Agent{Name: fmt.Sprintf("Agent %d", i), Role: models.RoleOwner}).ID)
			}
			for n := range threads {
				thread(t, stores[0], n)
			}
			var winners [threads]atomic.Int64
			inParallel(t, threads*takers, func(i int) error {
				n, s, who := i/takers, stores[i%len(stores)], agents[i%takers]
				if i%takers == 0 {
					res, err := s.AppendWait(t.Context(), models.NewMessage{ThreadID: threadID(n), SenderType: models.Admin, AgentID: who})
					if res.Assigned && !winners[n].CompareAndSwap(0, int64(who)) {
						t.Errorf("thread %d was also taken by the answer of %d", n, who)
					}
					return err
				}
				_, err := s.Assign(t.Context(), threadID(n), who, func(present models.AgentID) bool { return present == 0 }, nil)
				if err == nil && !winners[n].CompareAndSwap(0, int64(who)) {
					t.Errorf("thread %d was also taken by %d", n, who)
				}
				if errors.Is(err, models.ErrAssigned) {
					return nil
				}
				return err
			})
			for n := range threads {
				for _, s := range stores {
					models.FlushCache(s)
					if th := readThread(t, s, threadID(n)); th.AssigneeID == 0 || int64(th.AssigneeID) != winners[n].Load() {
						t.Errorf("thread %d has %d, taken by %d", n, th.AssigneeID, winners[n].Load())
					}
				}
			}
		})
	}
}

func TestThreadsOfAnAssignee(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		ada := models.AgentID(addAgent(t, s, models.Agent{Name: "Ada", Role: models.RoleOwner}).ID)
		for n := range 4 {
			say(t, s, thread(t, s, n).ID, "hi")
		}
		if _, err := s.Assign(t.Context(), threadID(1), ada, anyone, nil); err != nil {
			t.Fatal(err)
		}
		closed := models.StatusClosed
		if _, err := s.UpdateThread(t.Context(), threadID(2), models.ThreadPatch{Status: &closed}); err != nil {
			t.Fatal(err)
		}
		counts, err := s.CountThreads(t.Context())
		if mine, err2 := s.CountAssigned(t.Context()); err != nil || err2 != nil || counts.Unassigned != 2 || len(mine) != 1 || mine[ada] != 1 {
			t.Errorf("%+v, %v, %v, %v", counts, mine, err, err2)
		}
		for _, c := range []struct {
			assignee *models.AgentID
			want     []string
		}{
			{nil, []string{threadID(3), threadID(2), threadID(1), threadID(0)}},
			{new(ada), []string{threadID(1)}},
			{new(ada + 1), nil},
			{new(models.AgentID(0)), []string{threadID(3), threadID(0)}},
		} {
			list, err := s.Threads(t.Context(), models.ThreadQuery{Assignee: c.assignee})
			var got []string
			for _, th := range list {
				got = append(got, th.ID)
			}
			slices.SortFunc(got, func(a, b string) int { return slices.Index(c.want, a) - slices.Index(c.want, b) }) // their times may be equal
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v: %v, %v, want %v", c.assignee, got, err, c.want)
			}
		}
	})
}
