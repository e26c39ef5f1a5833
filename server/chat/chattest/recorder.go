// Package chattest provides a Publisher for tests that records publications.
package chattest

import (
	"sync"

	"sohbet/server/chat"
)

// Recorder is a chat.Publisher that records what is published.
type Recorder struct {
	mu    sync.Mutex
	heard []chat.Publication
}

// Publish implements chat.Publisher. It calls p.Then immediately.
func (h *Recorder) Publish(p chat.Publication) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = append(h.heard, p)
	if p.Then != nil {
		p.Then()
	}
}

// Take returns what was published since the last Take.
func (h *Recorder) Take() []chat.Publication {
	h.mu.Lock()
	defer h.mu.Unlock()
	heard := h.heard
	h.heard = nil
	return heard
}

// Events returns how many events of this name were published to a thread's room since the last Take.
func (h *Recorder) Events(threadID, event string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.heard {
		for _, e := range p.Thread {
			if p.ThreadID == threadID && e.Name == event {
				n++
			}
		}
	}
	return n
}
