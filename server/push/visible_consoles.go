package push

import (
	"context"
	"time"

	"sohbet/models"
)

// InView records whether the console of a socket is visible. For a closed socket it must be set to false.
func (s *Service) InView(socketID string, visible bool) {
	s.mu.Lock()
	before := len(s.consoles)
	if visible {
		s.consoles[socketID] = struct{}{}
	} else {
		delete(s.consoles, socketID)
	}
	turned := (before == 0) != (len(s.consoles) == 0)
	s.mu.Unlock()
	if turned {
		select {
		case s.turned <- struct{}{}:
		default:
		}
	}
}

// consoleHere reports whether a console of this process is visible.
func (s *Service) consoleHere() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.consoles) > 0
}

// consoleVisible reports whether a console of any process is visible.
func (s *Service) consoleVisible(ctx context.Context) (bool, error) {
	if s.consoleHere() {
		return true, nil
	}
	return s.Store.ConsolesElsewhere(ctx, s.process, s.Now())
}

// keepConsoles shares with the other processes whether consoles are visible here.
func (s *Service) keepConsoles(ctx context.Context) {
	tick := time.NewTicker(models.ConsolesSeen / 3)
	defer tick.Stop()
	noted := false
	for {
		now := s.consoleHere()
		if now || noted {
			if err := s.Store.NoteConsoles(ctx, s.process, now, s.Now()); err == nil {
				noted = now
			} else if ctx.Err() == nil {
				s.Log.Debug("push: failed to record visible consoles", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			if noted {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				defer cancel()
				_ = s.Store.NoteConsoles(ctx, s.process, false, s.Now()) // otherwise the record expires
			}
			return
		case <-s.turned:
		case <-tick.C:
		}
	}
}
