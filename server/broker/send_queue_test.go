package broker

import (
	"slices"
	"testing"

	"sohbet/server/signal"
)

// kinds decodes what is taken from a queue.
func kinds(t *testing.T, q *sendQueue) (list []string, dropped bool) {
	t.Helper()
	batch, dropped := q.take()
	for _, one := range batch {
		if one.data == nil {
			continue
		}
		p, err := decode(one.data)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p.delivery.Thread+p.topic)
	}
	q.putBack(nil, false)
	return list, dropped
}

// Only the last of several queued notifications of a topic is sent, after everything that was queued before it.
func TestQueuedNotifications(t *testing.T) {
	q := &sendQueue{wake: signal.New(), topics: make(map[string]*outgoing)}
	for _, p := range []packet{
		{kind: kindTopic, topic: "cleared"}, {kind: kindTopic, topic: "outbox"}, {kind: kindChanged, delivery: Delivery{Thread: "a"}},
		{kind: kindTopic, topic: "cleared"}, {kind: kindChanged, delivery: Delivery{Thread: "b"}},
	} {
		q.add(&p)
	}
	if list, _ := kinds(t, q); !slices.Equal(list, []string{"outbox", "a", "cleared", "b"}) {
		t.Errorf("sent %q", list)
	}
	q.add(&packet{kind: kindTopic, topic: "cleared"})
	if list, _ := kinds(t, q); !slices.Equal(list, []string{"cleared"}) || q.bytes != 0 {
		t.Errorf("sent %q; %d bytes remain", list, q.bytes)
	}
}

// A full queue drops the oldest packets, by number and by bytes, and reports it once.
func TestQueueIsBounded(t *testing.T) {
	for name, text := range map[string]string{"number": "", "bytes": string(make([]byte, maxWaitingBytes/50))} {
		q := &sendQueue{wake: signal.New(), topics: make(map[string]*outgoing)}
		fitted := 0
		for range maxWaiting + 10 {
			if !q.add(&packet{kind: kindChanged, delivery: Delivery{Thread: text}}) {
				break
			}
			fitted++
		}
		if q.waiting() != fitted || q.bytes > maxWaitingBytes || text == "" && fitted != maxWaiting || text != "" && fitted != 49 {
			t.Errorf("%s: %d packets fitted, %d wait with %d bytes", name, fitted, q.waiting(), q.bytes)
		}
		batch, dropped := q.take()
		first, err := decode(batch[0].data)
		if err != nil || first.sequence != 2 || !dropped {
			t.Errorf("%s: the first is number %d, %v; dropped: %t", name, first.sequence, err, dropped)
		}
		q.putBack(batch, dropped)
		if again, dropped := q.take(); !dropped || again[0] != batch[0] {
			t.Errorf("%s: what could not be sent is not the first again", name)
		}
		q.putBack(nil, false)
		if _, dropped := kinds(t, q); dropped {
			t.Errorf("%s: reported twice", name)
		}
	}
}
