// Package chattest is what tests of the chat, and of what stands on it, publish to.
package chattest

import (
	"sync"

	"sohbet/server/chat"
)

// Hall is a chat.Publisher that remembers what was published.
type Hall struct {
	mu    sync.Mutex
	heard []chat.Publication
}

// Publish implements chat.Publisher; what has to come after it comes at once.
func (h *Hall) Publish(p chat.Publication) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = append(h.heard, p)
	if p.Then != nil {
		p.Then()
	}
}

// Take returns what was heard since the last Take.
func (h *Hall) Take() []chat.Publication {
	h.mu.Lock()
	defer h.mu.Unlock()
	heard := h.heard
	h.heard = nil
	return heard
}

// Told is how many events of this name went to a thread's room since the last Take.
func (h *Hall) Told(threadID, event string) (n int) {
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
