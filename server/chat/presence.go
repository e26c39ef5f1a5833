package chat

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sohbet/models"
)

// Others are the other processes that serve the same visitors. What they cannot be asked is answered from what is known here.
type Others interface {
	// Arrived notes that the first socket of a thread's visitor is here, and then calls fresh unless another process has one.
	Arrived(threadID string, fresh func())
	// Departed notes that the last one has gone for good, and then calls gone unless another process has one.
	Departed(threadID string, gone func())
	// Online reports for each thread whether another process has its visitor.
	Online(ctx context.Context, threads []string) []bool
	// ClearedAll makes each of them call [Service.ClearedAll].
	ClearedAll()
}

// presence knows which visitors have a socket on this process.
type presence struct {
	grace time.Duration

	mu   sync.Mutex
	here map[string]*visitor // by thread
}

type visitor struct {
	sockets int
	name    string
	gone    *time.Timer // runs while there is no socket, until the visitor counts as offline
}

// arrive counts a socket in and reports whether the visitor was offline before.
func (p *presence) arrive(threadID, name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.here[threadID]
	fresh := v == nil
	if fresh {
		v = &visitor{}
		p.here[threadID] = v
	}
	if v.gone != nil {
		v.gone.Stop()
		v.gone = nil
	}
	v.sockets++
	if name != "" {
		v.name = name
	}
	return fresh
}

// depart counts a socket out and calls offline, with the visitor's name, if none comes in time.
func (p *presence) depart(threadID string, offline func(name string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.here[threadID]
	if v == nil {
		return
	}
	if v.sockets--; v.sockets > 0 {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(p.grace, func() {
		p.mu.Lock()
		current := p.here[threadID] == v && v.gone == timer
		if current {
			delete(p.here, threadID)
		}
		p.mu.Unlock()
		if current {
			offline(v.name)
		}
	})
	v.gone = timer
}

func (p *presence) online(threadID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.here[threadID] != nil
}

func (p *presence) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := make([]string, 0, len(p.here))
	for id := range p.here {
		ids = append(ids, id)
	}
	return ids
}

// Online reports whether a visitor has a socket, or had one a moment ago.
func (s *Service) Online(ctx context.Context, threadID string) bool {
	return s.online(ctx, []string{threadID})[0]
}

// online answers for each thread. The other processes are asked once, about those whose visitor is not here.
func (s *Service) online(ctx context.Context, threads []string) []bool {
	online := make([]bool, len(threads))
	var elsewhere []string
	var places []int
	for i, id := range threads {
		if online[i] = s.presence.online(id); !online[i] && s.others != nil {
			elsewhere, places = append(elsewhere, id), append(places, i)
		}
	}
	if len(elsewhere) > 0 {
		for i, there := range s.others.Online(ctx, elsewhere) {
			online[places[i]] = there
		}
	}
	return online
}

// VisitorsHere lists the threads whose visitors are online at this process.
func (s *Service) VisitorsHere() []string { return s.presence.all() }

// VisitorsOnline is the number of visitors online at this process.
func (s *Service) VisitorsOnline() int {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	return len(s.presence.here)
}

// Arrived notes that a visitor's socket is in a thread's room; agents hear of it if the visitor was away.
func (s *Service) Arrived(a Actor, threadID string) {
	profile, _ := a.Threads.profile(threadID)
	if !s.presence.arrive(threadID, profile.DisplayName) {
		return
	}
	tell := func() { s.tellPresence("user_online", threadID, profile.DisplayName, a.SocketID) }
	if s.others != nil {
		s.others.Arrived(threadID, tell)
		return
	}
	tell()
}

// Departed notes that a visitor's socket is gone.
func (s *Service) Departed(threadID string) {
	s.presence.depart(threadID, func(name string) {
		tell := func() { s.tellPresence("user_offline", threadID, name, "") }
		if s.others != nil {
			s.others.Departed(threadID, tell)
			return
		}
		tell()
	})
}

// Lost tells agents that the visitor of a thread is offline, whose process ended without a word.
func (s *Service) Lost(ctx context.Context, threadID string) {
	t, err := s.store.Thread(ctx, threadID)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		s.log.WarnContext(ctx, "the name of a lost visitor is not known", slog.Any("error", err))
	}
	s.tellPresence("user_offline", threadID, t.DisplayName, "")
}

func (s *Service) tellPresence(event, threadID, name, except string) {
	s.publisher.Publish(Publication{Except: except, Agents: []*Event{{event, seen{
		ThreadID: threadID, DisplayName: name, LastSeen: Time(s.now()),
	}}}})
}

// Heartbeat notes a visitor's sign of life. Agents hear of it with those of the same moment.
func (s *Service) Heartbeat(ctx context.Context, a Actor, threadID string) error {
	if threadID == "" {
		threadID, _ = a.Threads.Only()
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	now := s.now()
	if err := s.store.Touch(ctx, threadID, now); err != nil {
		s.log.WarnContext(ctx, "heartbeat not noted", slog.Any("error", err))
	}
	profile, _ := a.Threads.profile(threadID)
	if s.beats.add(seen{ThreadID: threadID, DisplayName: profile.DisplayName, LastSeen: Time(now)}) {
		time.AfterFunc(beatsGather, s.tellBeats)
	}
	return nil
}

// beatsGather is how long heartbeats gather before agents are told. Of thousands of visitors one beats every few milliseconds,
// and to wake up for each and write it to each agent costs ten times what it costs in a row.
const beatsGather = 250 * time.Millisecond

// beats gathers heartbeats, one for each thread.
type beats struct {
	mu  sync.Mutex
	new map[string]seen
}

// add reports whether it is the first since the last take.
func (b *beats) add(v seen) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first = len(b.new) == 0; first {
		b.new = make(map[string]seen)
	}
	b.new[v.ThreadID] = v
	return first
}

func (b *beats) take() map[string]seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.new
	b.new = nil
	return taken
}

// tellBeats tells agents of the visitors whose heartbeats have gathered.
func (s *Service) tellBeats() {
	p := Publication{Volatile: true}
	for _, v := range s.beats.take() {
		p.Agents = append(p.Agents, &Event{"visitor_online", v})
	}
	s.publisher.Publish(p)
}
