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
	changed := (before == 0) != (len(s.consoles) == 0)
	s.mu.Unlock()
	if changed {
		s.visibilityChanged.Set()
	}
}

// consoleHere reports whether a console of this process is visible.
func (s *Service) consoleHere() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.consoles) > 0
}

// lookingHere reports whether the receiver of a notice is known to have a visible console: an agent or, with 0, any one at this process.
func (s *Service) lookingHere(to models.AgentID) bool {
	if to != 0 {
		return s.Viewing(int64(to))
	}
	return s.consoleHere()
}

// looking is like lookingHere, with 0 for the consoles of any process.
func (s *Service) looking(ctx context.Context, to models.AgentID) (bool, error) {
	if to != 0 || s.consoleHere() {
		return s.lookingHere(to), nil
	}
	return s.Store.ConsolesElsewhere(ctx, s.process, s.Now())
}

// receives reports whether a subscription is one of the agent who is to be notified; 0 = all agents.
func (s *Service) receives(to models.PushSubscription, agent models.AgentID) bool {
	who, _ := s.Store.Agent(int64(to.AgentID)) // 0 = the owner of the settings
	return agent == 0 || who.ID == int64(agent)
}

// keepConsoles shares with the other processes whether consoles are visible here.
func (s *Service) keepConsoles(ctx context.Context) {
	tick := time.NewTicker(models.ConsolesSeen / 3)
	defer tick.Stop()
	noted := false
	for {
		now := s.consoleHere()
		if now || noted {
			if err := s.Store.RecordConsoles(ctx, s.process, now, s.Now()); err == nil {
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
				_ = s.Store.RecordConsoles(ctx, s.process, false, s.Now()) // otherwise the record expires
			}
			return
		case <-s.visibilityChanged:
		case <-tick.C:
		}
	}
}
