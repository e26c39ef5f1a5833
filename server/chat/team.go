package chat

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sohbet/server/hours"
)

// Team says when visitors may expect an answer.
type Team struct {
	Away  bool  `json:"away"`  // it answers later: an agent said so, or it is closed
	Until *Time `json:"until"` // when it opens again; null unless Hours
	// UsualSeconds is how long first answers took of late, the median; null as long as there were hardly any.
	UsualSeconds *int64 `json:"typical_reply_seconds"`
	Hours        bool   `json:"hours"`    // it is closed by OPENING_HOURS now
	Switched     bool   `json:"switched"` // an agent has switched it away
}

// same reports whether two say the same of whether the team is there.
func (t Team) same(other Team) bool {
	if t.Until != nil && other.Until != nil && *t.Until != *other.Until {
		return false
	}
	return t.Away == other.Away && t.Hours == other.Hours && t.Switched == other.Switched
}

// team is what a [Team] is made of.
type team struct {
	hours    *hours.Week
	switched atomic.Bool
	usual    atomic.Int64 // seconds; negative = unknown

	mu   sync.Mutex
	told Team // what everybody here was told last
}

// Team returns how the team stands now.
func (s *Service) Team() Team {
	t := Team{Switched: s.team.switched.Load()}
	open, next := s.team.hours.Open(s.now())
	t.Hours, t.Away = !open, !open || t.Switched
	if !open && !next.IsZero() {
		until := Time(next)
		t.Until = &until
	}
	if usual := s.team.usual.Load(); usual >= 0 {
		t.UsualSeconds = &usual
	}
	return t
}

const (
	awaySwitch = "away"
	awayOn     = "on"
	awayOff    = "off"
)

// Away reports whether an agent has switched the team away.
func (s *Service) Away() bool { return s.team.switched.Load() }

// SetAway says whether the team answers later. All agents and all visitors hear "team_status".
func (s *Service) SetAway(ctx context.Context, a Actor, away bool) error {
	if err := teamOnly(a); err != nil {
		return err
	}
	position := awayOff
	if away {
		position = awayOn
	}
	if err := s.store.SetSwitch(ctx, awaySwitch, position); err != nil {
		return Public(err)
	}
	s.team.switched.Store(away)
	s.tellTeam()
	return nil
}

// tellTeam tells everybody here how the team stands, if it is news.
func (s *Service) tellTeam() {
	s.team.mu.Lock()
	defer s.team.mu.Unlock()
	now := s.Team()
	if now.same(s.team.told) {
		return
	}
	s.team.told = now
	s.tellHere(&Event{"team_status", now})
}

// tellHere tells something to every agent and every visitor at this process.
func (s *Service) tellHere(e *Event) {
	events := []*Event{e}
	s.publisher.Publish(Publication{Agents: events, Here: true})
	for _, id := range s.presence.all() {
		s.publisher.Publish(Publication{ThreadID: id, Thread: events, Side: Visitor, Here: true})
	}
}

// Resync asks everybody at this process to look anew, for other processes may have told something that was not heard here: that
// a conversation was closed or read, a message changed. Messages themselves are not meant; none is missed.
func (s *Service) Resync() { s.tellHere(&Event{"resync", struct{}{}}) }

const (
	teamEvery  = 5 * time.Second
	usualEvery = time.Minute
)

// WatchTeam follows, until ctx ends, what makes the team be there or away: the switch that [Service.SetAway] turns, as another
// process may have turned it, and the clock. It also learns how long answers usually take.
func (s *Service) WatchTeam(ctx context.Context) {
	tick := time.NewTicker(teamEvery)
	defer tick.Stop()
	var asked time.Time
	for {
		position, err := s.store.SwitchPosition(ctx, awaySwitch)
		if err == nil {
			s.team.switched.Store(position == awayOn)
		} else if ctx.Err() == nil {
			s.log.Debug("cannot see whether the team is away", slog.Any("error", err))
		}
		if now := time.Now(); now.Sub(asked) >= usualEvery {
			asked = now
			s.learnUsual(ctx)
		}
		s.tellTeam()
		s.tellStorage(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.turned:
		}
	}
}

// LookAway makes [Service.WatchTeam] look at once.
func (s *Service) LookAway() {
	select {
	case s.turned <- struct{}{}:
	default:
	}
}

func (s *Service) learnUsual(ctx context.Context) {
	usual, known, err := s.store.UsualAnswer(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		s.log.Debug("cannot see how long answers usually take", slog.Any("error", err))
	case err == nil && known:
		s.team.usual.Store(int64(usual.Seconds()))
	case err == nil:
		s.team.usual.Store(-1)
	}
}
