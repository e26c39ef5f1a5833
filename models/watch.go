package models

import (
	"context"
	"time"
)

// watchInterval is how often a process looks whether another one changed what it keeps in memory.
const watchInterval = 2 * time.Second

// The rows of security_state. The first two change with their tables; the third is the value itself.
const (
	stateBlocks     = "blocks"
	stateSessions   = "sessions"
	stateGeneration = "generation"
)

// watch keeps what this process has in memory for safety's sake in step with what other processes (a second server, a command
// on the terminal) change. It reads one small table; only what changed is read anew.
type watch struct {
	store *Store
	known map[string]string // used by run alone, once it runs
	early chan struct{}
	stop  chan struct{}
	done  chan struct{}
}

func newWatch(s *Store) *watch {
	return &watch{store: s, known: make(map[string]string), early: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

func (w *watch) run() {
	defer close(w.done)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		case <-w.early:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := w.look(ctx); err != nil {
			w.store.log.Debug("blocks and sessions may be old for a moment", "error", err)
		}
		cancel()
	}
}

// soon makes it look now.
func (w *watch) soon() {
	select {
	case w.early <- struct{}{}:
	default:
	}
}

func (w *watch) close() {
	close(w.stop)
	<-w.done
}

// look reads what has another value than last time. The values are read before the contents, so that a change in between is
// found by the next look.
func (w *watch) look(ctx context.Context) error {
	var rows []struct{ Name, Value string }
	err := again(ctx, func() error {
		return w.store.read.WithContext(ctx).Table("security_state").Select("name", "value").Find(&rows).Error
	})
	if err != nil {
		return w.store.failed("look for changes", err)
	}
	for _, row := range rows {
		if known, seen := w.known[row.Name]; seen && known == row.Value {
			continue
		}
		var err error
		switch row.Name {
		case stateBlocks:
			err = w.store.loadBlocks(ctx)
		case stateSessions:
			err = w.store.loadSessions(ctx)
		case stateGeneration:
			w.store.sessions.begin(row.Value)
		}
		if err != nil {
			return err
		}
		w.known[row.Name] = row.Value
	}
	return nil
}
