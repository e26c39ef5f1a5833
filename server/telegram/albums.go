package telegram

import (
	"sync"
	"time"
)

// albums remembers where pictures that were sent together belong: the caption, with the tag, stands on the first alone.
type albums struct {
	now func() time.Time

	mu   sync.Mutex
	seen map[string]album
}

type album struct {
	threadID string
	told     bool
	at       time.Time
}

const albumKept = 10 * time.Minute

func (a *albums) change(id string, f func(*album)) album {
	a.mu.Lock()
	defer a.mu.Unlock()
	for old, one := range a.seen {
		if a.now().Sub(one.at) > albumKept {
			delete(a.seen, old)
		}
	}
	one := a.seen[id]
	f(&one)
	one.at = a.now()
	if a.seen == nil {
		a.seen = make(map[string]album)
	}
	a.seen[id] = one
	return one
}

func (a *albums) note(id, threadID string) {
	if id != "" {
		a.change(id, func(one *album) { one.threadID = threadID })
	}
}

func (a *albums) thread(id string) string { return a.change(id, func(*album) {}).threadID }

// told reports whether the operator was told of an album before, and notes that now they are.
func (a *albums) told(id string) (before bool) {
	a.change(id, func(one *album) { before, one.told = one.told, true })
	return before
}
