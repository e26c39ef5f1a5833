package models_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
)

// Three processes write to the same few threads at once, many messages per batch. There is no deadlock, a reader that pages by id
// misses nothing, and each message reports its predecessor.
func TestProcessesShareAThread(t *testing.T) {
	const writers, each, threads = 3, 300, 4
	o := storetest.Options(t, "postgres")
	stores := make([]*models.Store, writers)
	for i := range stores {
		stores[i] = storetest.Reopen(t, o)
	}
	ids := make([]string, threads)
	for i := range ids {
		ids[i] = thread(t, stores[0], i+1).ID
	}

	reading, over := context.WithCancel(t.Context())
	defer over()
	read := make([][]int64, threads) // ids seen by a reader that always asks for those after the last
	var readers sync.WaitGroup
	for i, id := range ids {
		readers.Go(func() {
			for {
				done := reading.Err() != nil
				last := int64(0)
				if n := len(read[i]); n > 0 {
					last = read[i][n-1]
				} else if first, _, err := stores[0].MessagePage(t.Context(), id, 1, 1); err != nil || len(first) == 0 {
					if err != nil {
						t.Error(err)
						return
					}
					stores[0].Forget(id)
					continue
				} else {
					last = first[0].ID
					read[i] = append(read[i], last)
				}
				list, _, err := stores[0].Messages(t.Context(), id, models.MessageQuery{AfterID: last, Limit: 1000})
				if err != nil {
					t.Error(err)
					return
				}
				for _, m := range list {
					read[i] = append(read[i], m.ID)
				}
				if done && len(list) == 0 {
					return
				}
			}
		})
	}

	type delivered struct{ id, follows int64 }
	var mu sync.Mutex
	received := make(map[string][]delivered)
	var writing, storing sync.WaitGroup
	for w, s := range stores {
		writing.Go(func() {
			order := rand.New(rand.NewPCG(1, uint64(w)))
			for n := range each {
				id := ids[order.IntN(threads)]
				storing.Add(1)
				err := s.Append(t.Context(), models.NewMessage{
					ThreadID: id, SenderType: models.Visitor, ContentType: "text", ContentText: fmt.Sprint(w, n), CreatedAt: time.Now(),
				}, func(r models.Appended, err error) {
					defer storing.Done()
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					received[id] = append(received[id], delivered{r.Message.ID, r.Follows})
					mu.Unlock()
				})
				if err != nil {
					storing.Done()
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	storing.Wait()
	over()
	readers.Wait()
	for i, id := range ids {
		slices.SortFunc(received[id], func(a, b delivered) int { return int(a.id - b.id) })
		before := int64(0)
		for n, m := range received[id] {
			if m.follows != before {
				t.Fatalf("thread %d: message %d of %d says that it follows %d, but that is %d", i, n, len(received[id]), m.follows, before)
			}
			if n >= len(read[i]) || read[i][n] != m.id {
				t.Fatalf("thread %d: the reader missed message %d of %d: it read %d", i, n, len(received[id]), len(read[i]))
			}
			before = m.id
		}
	}
}

// Flush returns after the callbacks of everything committed before.
func TestFlush(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		delivered := 0 // written only by the delivery goroutine, and read after Flush
		for n := range 50 {
			if err := s.Append(t.Context(), models.NewMessage{
				ThreadID: id, SenderType: models.Visitor, ContentType: "text", ContentText: fmt.Sprint(n), CreatedAt: time.Now(),
			}, func(models.Appended, error) { delivered++ }); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Flush(t.Context()); err != nil || delivered != 50 {
			t.Fatalf("%d of 50 callbacks ran: %v", delivered, err)
		}
		if err := s.Flush(t.Context()); err != nil { // the only job of its batch
			t.Fatal(err)
		}
	})
}

// invalidator records what a store announces. on passes topics to the functions that another store subscribed.
type invalidator struct {
	current         bool
	changed, topics []string
	subscribed      map[string]func()
	to              *invalidator
}

func (i *invalidator) Current() bool     { return i.current }
func (i *invalidator) Changed(id string) { i.changed = append(i.changed, id) }
func (i *invalidator) Notify(topic string) {
	i.topics = append(i.topics, topic)
	if i.to != nil {
		i.to.subscribed[topic]()
	}
}
func (i *invalidator) Subscribe(topic string, fn func()) {
	if i.subscribed == nil {
		i.subscribed = make(map[string]func())
	}
	i.subscribed[topic] = fn
}

// A store with an invalidator caches threads only while it is notified of changes, announces its own changes, and does not announce
// those it was notified of.
func TestInvalidator(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		id := thread(t, s, 1).ID
		var i invalidator
		s.SetInvalidator(&i)
		s.ForgetAll()
		hits := func() int64 {
			before := s.Stats().CacheHits
			readThread(t, s, id)
			readThread(t, s, id)
			if _, _, err := s.Messages(t.Context(), id, models.MessageQuery{}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Messages(t.Context(), id, models.MessageQuery{}); err != nil {
				t.Fatal(err)
			}
			return s.Stats().CacheHits - before
		}
		if n := hits(); n != 0 {
			t.Errorf("%d reads of a thread without notifications came from the cache", n)
		}
		i.current = true
		if n := hits(); n != 2 {
			t.Errorf("%d of 2 reads of a thread with notifications came from the cache", n)
		}
		s.Forget(id)
		if i.changed != nil || i.topics != nil {
			t.Errorf("announced %q, %q before anything changed", i.changed, i.topics)
		}
		name := "Yeni"
		if _, err := s.UpdateThread(t.Context(), id, models.ThreadPatch{DisplayName: &name}); err != nil {
			t.Fatal(err)
		}
		if err := s.SetSetting(t.Context(), "away", "on"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Block(t.Context(), id, false, 0); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(i.changed, []string{id, id}) || !slices.Equal(i.topics, []string{models.TopicSettings, models.TopicSecurity}) {
			t.Errorf("announced %d threads and %q", len(i.changed), i.topics)
		}
	})
}

// A revocation or block by another process takes effect immediately when announced.
func TestNotifications(t *testing.T) {
	o := storetest.Options(t, "postgres")
	a, b := storetest.Reopen(t, o), storetest.Reopen(t, o)
	id := thread(t, a, 1).ID
	known := make(chan struct{}, 8)
	b.OnSessionsEnded(func() { known <- struct{}{} })
	var to invalidator
	b.SetInvalidator(&to)
	a.SetInvalidator(&invalidator{to: &to})
	if err := a.EndSession(t.Context(), "session", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	<-known
	if !b.SessionEnded("session", "") {
		t.Error("the other process does not know of the end of a session")
	}
	if _, err := a.Block(t.Context(), id, false, 0); err != nil {
		t.Fatal(err)
	}
	for !b.Blocked(id, "") {
		time.Sleep(time.Millisecond)
	}
}

// Two processes on one database have the same secret, those on another database a different one.
func TestFamily(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		first, err := s.Family(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Family(t.Context())
		other, err2 := storetest.Open(t, s.Dialect()).Family(t.Context())
		if err != nil || err2 != nil || first != again || first == other {
			t.Errorf("same for one database: %t; for two: %t; %v %v", first == again, first == other, err, err2)
		}
	})
}

func TestNewestIDs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *models.Store) {
		talk := thread(t, s, 2).ID
		say(t, s, talk, "bir")
		last := say(t, s, talk, "iki").Message
		if id, err := s.NewestID(t.Context()); err != nil || id != last.ID {
			t.Errorf("the newest is %d: %v", id, err)
		}
		third := thread(t, s, 3).ID
		newer := say(t, s, third, "üç").Message
		if ids, err := s.NewestIDs(t.Context(), 0); err != nil || len(ids) != 2 || ids[talk] != last.ID || ids[third] != newer.ID {
			t.Errorf("of all: %d, %v", len(ids), err)
		}
		if ids, err := s.NewestIDs(t.Context(), last.ID); err != nil || len(ids) != 1 || ids[third] != newer.ID {
			t.Errorf("of those with newer messages: %d, %v", len(ids), err)
		}
	})
}
