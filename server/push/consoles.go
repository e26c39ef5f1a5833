package push

import (
	"context"
	"time"

	"sohbet/models"
)

// InView notes whether the console behind a socket is in front of somebody's eyes. A socket that has closed is not.
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

// here reports whether a console of this process is in view.
func (s *Service) here() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.consoles) > 0
}

// looking reports whether a console of any process is in view.
func (s *Service) looking(ctx context.Context) (bool, error) {
	if s.here() {
		return true, nil
	}
	return s.Store.ConsolesElsewhere(ctx, s.process, s.Now())
}

// keepConsoles tells the other processes whether consoles are in view here.
func (s *Service) keepConsoles(ctx context.Context) {
	tick := time.NewTicker(models.ConsolesSeen / 3)
	defer tick.Stop()
	noted := false
	for {
		now := s.here()
		if now || noted {
			if err := s.Store.NoteConsoles(ctx, s.process, now, s.Now()); err == nil {
				noted = now
			} else if ctx.Err() == nil {
				s.Log.Debug("push: other processes do not know that a console is in view", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			if noted {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				defer cancel()
				_ = s.Store.NoteConsoles(ctx, s.process, false, s.Now()) // or its word runs out
			}
			return
		case <-s.turned:
		case <-tick.C:
		}
	}
}
