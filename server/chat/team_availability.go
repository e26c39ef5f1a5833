package chat

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sohbet/models"
	"sohbet/server/audit"
	"sohbet/server/hours"
)

// Team is the availability of the team.
type Team struct {
	Away  bool  `json:"away"`  // answers come later: all agents are set away, or it is outside opening hours
	Until *Time `json:"until"` // next opening time; null unless Hours
	// UsualSeconds is the median time to the first answer of recent sessions; null while there are too few of them.
	UsualSeconds *int64 `json:"typical_reply_seconds"`
	Hours        bool   `json:"hours"`    // outside OPENING_HOURS
	Switched     bool   `json:"switched"` // all agents are set away
}

// same reports whether two values mean the same to clients.
func (t Team) same(other Team) bool {
	if t.Until != nil && other.Until != nil && *t.Until != *other.Until {
		return false
	}
	return t.Away == other.Away && t.Hours == other.Hours && t.Switched == other.Switched
}

// team is the state from which [Team] is computed.
type team struct {
	hours     atomic.Pointer[hours.Week]
	replyTime atomic.Int64 // seconds; negative = unknown

	mu        sync.Mutex
	published Team // the value last sent to clients at this process
}

// Team returns the team's current availability.
func (s *Service) Team() Team {
	t := Team{Switched: s.Away()}
	open, next := s.team.hours.Load().Open(s.now())
	t.Hours, t.Away = !open, !open || t.Switched
	if !open && !next.IsZero() {
		until := Time(next)
		t.Until = &until
	}
	if usual := s.team.replyTime.Load(); usual >= 0 {
		t.UsualSeconds = &usual
	}
	return t
}

// Away reports whether all enabled agents are set away.
func (s *Service) Away() bool {
	any := false
	for _, who := range s.store.Agents() {
		if who.Enabled() && !who.Away() {
			return false
		}
		any = any || who.Enabled()
	}
	return any
}

// SetAway sets an agent away or not; someone in Telegram who is linked to none does that for all agents. It emits "team_status" to all agents and visitors if that changes
// the team's availability.
func (s *Service) SetAway(ctx context.Context, a Actor, away bool) error {
	if err := teamOnly(a); err != nil {
		return err
	}
	for _, who := range s.store.Agents() {
		if a.AgentID != 0 && who.ID != int64(a.AgentID) || !who.Enabled() || who.Away() == away {
			continue
		}
		if _, err := s.store.UpdateAgent(ctx, who.ID, models.AgentPatch{Away: &away}); err != nil {
			return Public(err)
		}
	}
	s.logAudit(ctx, a, audit.Event{Name: audit.SettingChange, Detail: "away"})
	s.publishTeam()
	return nil
}

// publishTeam sends "team_status" to all clients at this process if it changed.
func (s *Service) publishTeam() {
	s.team.mu.Lock()
	defer s.team.mu.Unlock()
	now := s.Team()
	if now.same(s.team.published) {
		return
	}
	s.team.published = now
	s.publishLocally(&Event{"team_status", now})
}

const (
	teamEvery         = 5 * time.Second
	replyTimeInterval = time.Minute
)

// WatchTeam sends changes of the team's availability to clients until ctx ends. It checks opening hours, the agents' away
// switches, which another process may have changed, the usual reply time and the disk status.
func (s *Service) WatchTeam(ctx context.Context) {
	tick := time.NewTicker(teamEvery)
	defer tick.Stop()
	var asked time.Time
	for {
		if now := time.Now(); now.Sub(asked) >= replyTimeInterval {
			asked = now
			s.updateReplyTime(ctx)
		}
		s.publishTeam()
		s.publishStorage(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.awayChanged:
		}
	}
}

// SetHours replaces the opening hours; nil = always open. Clients are told if the team is available now, or no longer.
func (s *Service) SetHours(w *hours.Week) {
	s.team.hours.Store(w)
	s.awayChanged.Set()
}

// AwayChanged makes [Service.WatchTeam] check immediately.
func (s *Service) AwayChanged() {
	s.awayChanged.Set()
}

func (s *Service) updateReplyTime(ctx context.Context) {
	usual, known, err := s.store.MedianFirstAnswer(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		s.log.Debug("failed to read the usual reply time", slog.Any("error", err))
	case err == nil && known:
		s.team.replyTime.Store(int64(usual.Seconds()))
	case err == nil:
		s.team.replyTime.Store(-1)
	}
}
