package broker

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"sohbet/bench/conformance/raw"
	"sohbet/server/realtime"
	"sohbet/server/signal"
)

// A state is dropped after a newer one of its thread; other deliveries are not.
func TestStatesAreNotDeliveredAfterNewerOnes(t *testing.T) {
	sockets := realtime.New(realtime.Options{})
	sockets.OnConnect(func(so *realtime.Socket) {
		so.Join("agents")
		so.OnEvent(func(e realtime.Event) { e.Ack() })
	})
	host := raw.Serve(t, sockets, "/socket.io/")
	t.Cleanup(func() { _ = sockets.Close(context.Background()) })
	var memory Memory
	if err := memory.Start(t.Context(), Local{Sockets: sockets}); err != nil {
		t.Fatal(err)
	}
	w := host.Socket()
	w.Send(`421["here"]`)
	w.Expect(`431[]`)
	publish := func(thread string, rev int64, state bool) {
		t.Helper()
		frame, err := sockets.Encode("e", fmt.Sprintf("%s%d%t", thread, rev, state))
		if err != nil {
			t.Fatal(err)
		}
		done := false
		memory.Publish(&Delivery{
			Thread: thread, Rev: rev, State: state, Done: func() { done = true },
			Publication: realtime.Publication{Second: realtime.Group{Room: "agents", Frames: []realtime.Frame{frame}}},
		})
		if !done {
			t.Error("not done")
		}
	}
	publish("a", 5, true)
	publish("a", 4, true) // dropped
	publish("b", 3, true)
	publish("a", 4, false)
	publish("a", 5, true) // another part of the same state
	publish("b", 2, true) // dropped
	publish("b", 4, true)
	frame, err := sockets.Encode("e", "room")
	if err != nil {
		t.Fatal(err)
	}
	memory.Publish(&Delivery{Thread: "b", Rev: 3, State: true, Publication: realtime.Publication{ // for others than agents
		First: realtime.Group{Room: "agents", Frames: []realtime.Frame{frame}},
	}})
	w.Expect(`42["e","a5true"]`, `42["e","b3true"]`, `42["e","a4false"]`, `42["e","a5true"]`, `42["e","b4true"]`, `42["e","room"]`)
}

// The number of threads of which revisions are remembered is bounded.
func TestRevisionsAreBounded(t *testing.T) {
	sockets := realtime.New(realtime.Options{})
	t.Cleanup(func() { _ = sockets.Close(context.Background()) })
	var v revisions
	for i := range 3 * maxRevisions * shardCount {
		v.deliver(&Delivery{Thread: fmt.Sprint(i), Rev: 1, State: true}, sockets)
	}
	for i := range v.shards {
		if n := len(v.shards[i].newest); n > maxRevisions {
			t.Fatalf("%d threads are remembered", n)
		}
	}
}

// What was queued during an outage is not sent if the thread has changed since, and the others are told to read their state again.
func TestStaleChangesAreNotSent(t *testing.T) {
	q := &sendQueue{wake: signal.New(), topics: make(map[string]*outgoing)}
	for _, d := range []Delivery{
		{Thread: "old", Rev: 4, State: true}, {Thread: "new", Rev: 7, State: true}, {Thread: "old", ID: 3}, {Thread: "cleared", Rev: 2},
		{Thread: "deleted", Rev: 9}, {Thread: "old"},
	} {
		q.add(&packet{kind: kindDelivery, delivery: d})
	}
	if changed := q.changed(); !slices.Equal(changed, []string{"old", "new", "cleared", "deleted"}) {
		t.Errorf("changed %q", changed)
	}
	if n := q.dropStale(map[string]int64{"old": 5, "new": 7, "cleared": 3}); n != 2 {
		t.Errorf("dropped %d", n)
	}
	list, dropped := kinds(t, q)
	if !slices.Equal(list, []string{"new", "old", "deleted", "old"}) || !dropped || q.bytes != 0 {
		t.Errorf("sent %q; the others are told: %t; %d bytes remain", list, dropped, q.bytes)
	}
	q.add(&packet{kind: kindDelivery, delivery: Delivery{Thread: "new", Rev: 8, State: true}})
	if n := q.dropStale(map[string]int64{"new": 8}); n != 0 {
		t.Errorf("dropped %d current ones", n)
	}
	if _, dropped := kinds(t, q); dropped {
		t.Error("reported twice")
	}
}
