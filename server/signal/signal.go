// Package signal wakes a goroutine that waits for work.
package signal

// Signal holds at most one pending wake-up. Receiving from it waits for the next one and clears it.
type Signal chan struct{}

// New returns a signal that is not set.
func New() Signal { return make(Signal, 1) }

// Set wakes the receiver, now or when it next receives. It never blocks; setting a set signal has no effect.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
