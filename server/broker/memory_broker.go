package broker

import (
	"context"
	"sync"
	"time"

	"sohbet/server/metrics"
	"sohbet/server/realtime"
)

// Memory is the broker of a process that serves the chat alone.
type Memory struct {
	sockets   *realtime.Server
	revisions revisions

	mu     sync.Mutex
	clock  clock
	online map[string]bool // by thread
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

// VisitorChanged announces that a visitor came or left: no other process can have the visitor.
func (m *Memory) VisitorChanged(thread string, here func() bool, announce func(online bool, version int64, local bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	online := here()
	if online == m.online[thread] {
		return
	}
	if m.online == nil {
		m.online = make(map[string]bool)
	}
	if m.online[thread] = true; !online {
		delete(m.online, thread)
	}
	announce(online, m.clock.next(), false)
}

// Online reports for each thread whether its visitor is online, as of the version of the last change.
func (m *Memory) Online(_ context.Context, threads []string) (online []bool, versions []int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	online, versions = make([]bool, len(threads)), make([]int64, len(threads))
	for i, thread := range threads {
		online[i], versions[i] = m.online[thread], m.clock.current()
	}
	return online, versions
}

// Current reports that this process knows of all changes: it makes them itself.
func (*Memory) Current() bool { return true }

// Changed does nothing.
func (*Memory) Changed(string) {}

// Notify does nothing.
func (*Memory) Notify(string) {}

// Subscribe does nothing.
func (*Memory) Subscribe(string, func()) {}

// Share does nothing.
func (*Memory) Share(topic, data string) {}

// OnShared does nothing.
func (*Memory) OnShared(string, func(process uint64, data string)) {}

// ShareLimiter does nothing.
func (*Memory) ShareLimiter(string, Limiter) {}

// HandOver returns 0: clients have no other process to reconnect to.
func (*Memory) HandOver() time.Duration { return 0 }

// Check reports that there is nothing to check.
func (*Memory) Check() (on bool, err error) { return false, nil }

// Register adds no metrics.
func (*Memory) Register(*metrics.Metrics) {}
