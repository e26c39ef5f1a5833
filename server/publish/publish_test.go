package publish_test

import (
	"context"
	"log/slog"
	"testing"

	"sohbet/bench/conformance/raw"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/publish"
	"sohbet/server/realtime"
)

// counted counts how often it is encoded.
type counted struct{ times int }

func (c *counted) MarshalJSON() ([]byte, error) {
	c.times++
	return []byte("1"), nil
}

func TestPublishInOneProcess(t *testing.T) {
	sockets := realtime.New(realtime.Options{})
	sockets.OnConnect(func(so *realtime.Socket) {
		so.SetSide(publish.VisitorSide)
		so.Join(publish.ThreadRoom("t"))
		so.OnEvent(func(e realtime.Event) {
			so.Join(e.Name)
			e.Ack()
		})
	})
	host := raw.Serve(t, sockets, "/socket.io/")
	t.Cleanup(func() { _ = sockets.Close(context.Background()) })
	var memory broker.Memory
	if err := memory.Start(t.Context(), broker.Local{Sockets: sockets}); err != nil {
		t.Fatal(err)
	}
	p := &publish.Publisher{Sockets: sockets, Broker: &memory, Log: slog.New(slog.DiscardHandler)}
	w := host.Socket()
	w.Send(`421["here"]`)
	w.Expect(`431[]`)

	var thread, agents counted
	message := &chat.Event{Name: "m", Payload: &thread}
	done := 0
	c := chat.Publication{
		ThreadID: "t", Thread: []*chat.Event{message}, Agents: []*chat.Event{message, {Name: "agents", Payload: &agents}},
		MessageID: 5, Follows: 4, Then: func() { done++ },
	}
	p.Publish(c)
	w.Expect(`42["m",1]`)
	if thread.times != 1 || agents.times != 0 || done != 1 {
		t.Errorf("encoded %d times for the thread and %d times for absent agents; done %d times", thread.times, agents.times, done)
	}

	c.Follows = -1 // announced when it was stored
	p.Publish(c)
	c.MessageID, c.Follows, c.Side = 0, 0, chat.Agent
	p.Publish(c) // for the other side of the room
	w.Send(`421["agents"]`)
	w.Expect(`431[]`)
	if done != 3 {
		t.Errorf("done %d times", done)
	}

	c.Side, c.Here = "", true
	p.Publish(c)
	w.Expect(`42["m",1]`, `42["agents",1]`)
	if done != 4 || agents.times != 1 {
		t.Errorf("done %d times, encoded %d times for agents", done, agents.times)
	}
}
