package chat

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

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

// Online reports whether a visitor has a socket here, or had one a moment ago.
func (s *Service) Online(threadID string) bool { return s.presence.online(threadID) }

// VisitorsOnline is the number of visitors online.
func (s *Service) VisitorsOnline() int {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	return len(s.presence.here)
}

// Arrived notes that a visitor's socket is in a thread's room; agents hear of it if the visitor was away.
func (s *Service) Arrived(a Actor, threadID string) {
	profile, _ := a.Threads.profile(threadID)
	if s.presence.arrive(threadID, profile.DisplayName) {
		s.tellPresence("user_online", threadID, profile.DisplayName, a.SocketID)
	}
}

// Departed notes that a visitor's socket is gone.
func (s *Service) Departed(threadID string) {
	s.presence.depart(threadID, func(name string) { s.tellPresence("user_offline", threadID, name, "") })
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
