package signal_test

import (
	"testing"

	"sohbet/server/signal"
)

func TestSignal(t *testing.T) {
	s := signal.New()
	select {
	case <-s:
		t.Fatal("a new signal is set")
	default:
	}
	s.Set()
	s.Set() // does not block
	<-s
	select {
	case <-s:
		t.Fatal("two settings woke twice")
	default:
	}
}
