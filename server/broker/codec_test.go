package broker

import (
	"reflect"
	"testing"

	"sohbet/server/realtime"
)

func TestPackets(t *testing.T) {
	message, older := realtime.Frame("42[\"message\"]"), realtime.Frame("42[\"older\"]")
	for name, p := range map[string]packet{
		"heartbeat": {kind: kindHeartbeat, from: 7}, "topic": {kind: kindTopic, from: 7, sequence: 3, topic: "settings"},
		"shared":  {kind: kindShared, from: 7, sequence: 4, topic: "consoles", data: "[]"},
		"changed": {kind: kindChanged, from: 1<<64 - 1, sequence: 1 << 40, delivery: Delivery{Thread: thread}},
		"delivery": {kind: kindDelivery, from: 7, sequence: 1, delivery: Delivery{Thread: thread, ID: 1 << 50, Follows: -1, Publication: realtime.Publication{
			First: realtime.Group{Room: "thread:x", Frames: []realtime.Frame{message, older}, Only: 2}, Except: "socket", Volatile: true,
			Second: realtime.Group{Room: "agents", Frames: []realtime.Frame{message}},
		}}},
		"state":    {kind: kindDelivery, from: 7, sequence: 2, delivery: Delivery{Thread: thread, Rev: 1 << 45, State: true}},
		"presence": {kind: kindDelivery, from: 7, sequence: 1, delivery: Delivery{Thread: thread, Presence: -1 << 51}},
		"nothing":  {kind: kindDelivery},
	} {
		data := p.encode(nil)
		if from, sequence, err := sender(string(data)); err != nil || from != p.from || sequence != p.sequence {
			t.Errorf("%s: sent by %d as number %d: %v", name, from, sequence, err)
		}
		got, err := decode(data)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if name == "delivery" && &got.delivery.First.Frames[0][0] != &got.delivery.Second.Frames[0][0] {
			t.Error("a frame for two groups is two")
		}
		for n := range data {
			if _, err := decode(data[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes are a packet", name, n, len(data))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&packet{kind: kindDelivery, from: 7, sequence: 1, delivery: Delivery{Thread: thread, ID: 5, Publication: realtime.Publication{
		First: realtime.Group{Room: "r", Frames: []realtime.Frame{[]byte("x"), []byte("y")}},
	}}}).encode(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decode(data)
		if err != nil {
			return
		}
		again, err := decode(p.encode(nil))
		if err != nil || again.kind != p.kind || again.delivery.ID != p.delivery.ID {
			t.Errorf("%v", err)
		}
	})
}

// Names in Redis do not reveal thread ids. They are the same for all processes of one database, and differ between databases.
func TestNames(t *testing.T) {
	make := func(secret byte) *names {
		n, err := newNames([32]byte{secret})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a, same, other := make(1), make(1), make(2)
	if a.all() != same.all() || a.all() == other.all() {
		t.Error("channels")
	}
	if a.limit("l", "x") != same.limit("l", "x") || a.limit("l", "x") == other.limit("l", "x") || a.limit("l", "x") == a.limit("l", "y") {
		t.Error("keys of limits")
	}
	hidden, ok := a.thread(thread)
	if id, back := same.id(hidden); !ok || !back || id != thread {
		t.Errorf("hidden and found again: %q", id)
	}
	if id, _ := other.id(hidden); id == thread {
		t.Error("found with another secret")
	}
	if _, ok := a.thread("no id"); ok {
		t.Error("hid what is no id")
	}
}
