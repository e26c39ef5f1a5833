package realtime_test

import (
	"testing"

	"sohbet/bench/conformance/raw"
	"sohbet/server/realtime"
)

// Handlers that block delay no event of another connection.
func TestBlockedHandlersDelayNobodyElse(t *testing.T) {
	const blocked = 300
	proceed := make(chan struct{})
	_, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		so.OnEvent(func(e realtime.Event) {
			if e.Name == "block" {
				<-proceed
			}
			e.Ack(e.Args...)
		})
	})
	var waiting []*raw.Websocket
	other := host.Socket()
	for range blocked {
		w := host.Socket()
		w.Send(`421["block","a"]`, `422["echo","b"]`)
		waiting = append(waiting, w)
		if len(waiting)%10 == 0 {
			other.Send(`421["echo",1]`)
			other.Expect(`431[1]`)
		}
	}
	close(proceed)
	for _, w := range waiting {
		w.Expect(`431["a"]`)
		w.Expect(`432["b"]`)
	}
}

// An answer that is given after the handler has returned is sent while a later event of the same client is still being handled.
func TestLateAnswerDoesNotWait(t *testing.T) {
	proceed := make(chan struct{})
	var first func(...any)
	_, host := serve(t, realtime.Options{}, func(so *realtime.Socket) {
		so.OnEvent(func(e realtime.Event) {
			switch e.Name {
			case "first":
				first = e.Ack
			case "second":
				done := make(chan struct{})
				go func() {
					first("late")
					first("twice")
					close(done)
				}()
				<-done
				<-proceed
				e.Ack()
			}
		})
	})
	w := host.Socket()
	w.Send(`421["first"]`)
	w.Send(`422["second"]`)
	w.Expect(`431["late"]`)
	close(proceed)
	w.Expect(`432[]`)
}
