package models

import (
	"context"
	"crypto/rand"
	"time"

	"gorm.io/gorm"

	"sohbet/models/database"
)

// pollInterval is how often a process checks whether another one changed what it holds in memory.
var pollInterval = time.Second // shorter in tests

// Rows of security_state. The values of the first four change with their tables; the last is the value itself.
const (
	stateBlocks     = "blocks"
	stateSessions   = "sessions"
	stateAgents     = "agents"
	stateSettings   = "settings"
	stateGeneration = "generation"
)

// changePoller reloads blocks, session revocations, agents and settings after other processes (a second server, a command on the terminal) changed
// them. It polls one small table and reloads only what changed.
type changePoller struct {
	store *Store
	known map[string]string // used only by run
	early chan struct{}
	stop  chan struct{}
	done  chan struct{}
}

func newChangePoller(s *Store) *changePoller {
	return &changePoller{store: s, known: make(map[string]string), early: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

func (w *changePoller) run() {
	defer close(w.done)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		case <-w.early:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := w.poll(ctx); err != nil {
			w.store.log.Debug("failed to poll for changes of other processes; retrying", "error", err)
		}
		if err := w.store.clock.adjust(ctx); err != nil {
			w.store.log.Debug("failed to read the database's clock; retrying", "error", err)
		}
		cancel()
	}
}

// reload runs load, which reloads what this process has just changed in the database. The change is stored even if load fails, and the
// poller repeats it then.
func (s *Store) reload(ctx context.Context, load func(context.Context) error) {
	if err := load(ctx); err != nil {
		s.log.Debug("failed to reload a change; retrying", "error", err)
		s.poller.soon()
	}
}

// soon triggers an immediate check.
func (w *changePoller) soon() {
	select {
	case w.early <- struct{}{}:
	default:
	}
}

func (w *changePoller) close() {
	close(w.stop)
	<-w.done
}

// poll reloads what has a different value than last time. The values are read before the contents, so that a change in between is found
// by the next check.
func (w *changePoller) poll(ctx context.Context) error {
	var rows []struct{ Name, Value string }
	err := database.Retry(ctx, func() error {
		return w.store.db.Read.WithContext(ctx).Table("security_state").Select("name", "value").Find(&rows).Error
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
			err = w.store.LoadBlocks(ctx)
		case stateSessions:
			err = w.store.loadSessions(ctx)
		case stateAgents:
			err = w.store.loadAgents(ctx)
		case stateSettings:
			err = w.store.loadSettings(ctx)
		case stateGeneration:
			w.store.sessions.setGeneration(row.Value)
		}
		if err != nil {
			return err
		}
		w.known[row.Name] = row.Value
	}
	return nil
}

// markChanged marks a kind of in-memory state as changed; other processes notice within pollInterval.
func markChanged(tx *gorm.DB, name string) error {
	return tx.Table("security_state").Where("name = ?", name).Update("value", rand.Text()).Error
}
