package broker

import (
	"context"
	"time"

	"sohbet/server/metrics"
	"sohbet/server/realtime"
)

// Memory is the broker of a process that serves the chat alone.
type Memory struct {
	sockets   *realtime.Server
	revisions revisions
}

// Start sets the process. It must be called before Publish.
func (m *Memory) Start(_ context.Context, l Local) error {
	m.sockets = l.Sockets
	return nil
}

// Close does nothing.
func (*Memory) Close(context.Context) error { return nil }

// Publish delivers a publication, except for a repeated message, which was announced when it was stored.
func (m *Memory) Publish(d *Delivery) {
	if d.Follows >= 0 {
		m.revisions.deliver(d, m.sockets)
	}
	d.done()
}

// Reaches reports whether a room has members.
func (m *Memory) Reaches(room string) bool { return m.sockets.Members(room) > 0 }

// Arrived calls first: no other process can have the visitor.
func (*Memory) Arrived(_ string, first func()) { first() }

// Departed calls last: no other process can have the visitor.
func (*Memory) Departed(_ string, last func()) { last() }

// Online reports for each thread that its visitor is not connected to another process.
func (*Memory) Online(_ context.Context, threads []string) []bool { return make([]bool, len(threads)) }

// Current reports that this process knows of all changes: it makes them itself.
func (*Memory) Current() bool { return true }

// Changed does nothing.
func (*Memory) Changed(string) {}

// Notify does nothing.
func (*Memory) Notify(string) {}

// Subscribe does nothing.
func (*Memory) Subscribe(string, func()) {}

// ShareLimiter does nothing.
func (*Memory) ShareLimiter(string, Limiter) {}

// HandOver returns 0: clients have no other process to reconnect to.
func (*Memory) HandOver() time.Duration { return 0 }

// Check reports that there is nothing to check.
func (*Memory) Check() (on bool, err error) { return false, nil }

// Register adds no metrics.
func (*Memory) Register(*metrics.Metrics) {}
