package chat

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// Presence knows which visitors are connected to other processes. While those cannot be reached, answers are based on what was known.
type Presence interface {
	// VisitorChanged records that a visitor arrived at this process or left it; here tells which, when it is called. If that makes the
	// visitor online or offline on all processes together, announce is called with the version of that change: to tell the clients of all
	// processes, or with local those of this one.
	VisitorChanged(threadID string, here func() bool, announce func(online bool, version int64, local bool))
	// Online reports for each thread whether its visitor is online at any process, and the version as of which that is so. Changes that are
	// being recorded may be missing.
	Online(ctx context.Context, threads []string) (online []bool, versions []int64)
}

// presence tracks which visitors have a socket at this process.
type presence struct {
	grace time.Duration

	mu   sync.Mutex
	here map[string]*visitor // by thread
}

type visitor struct {
	sockets int
	name    string
	gone    *time.Timer // runs while there is no socket; when it fires the visitor is offline
}

// arrive adds a socket and reports whether the visitor had none before.
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
		fresh = true
		v.gone.Stop()
		v.gone = nil
	}
	v.sockets++
	if name != "" {
		v.name = name
	}
	return fresh
}

// depart removes a socket and calls offline, with the visitor's name, if no new one arrives within the grace period.
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

// state reports whether a visitor is online here, and has a socket.
func (p *presence) state(threadID string) (online, connected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.here[threadID]
	return v != nil, v != nil && v.sockets > 0
}

// all lists the visitors that are online here, or only those with a socket.
func (p *presence) all(connected bool) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := make([]string, 0, len(p.here))
	for id, v := range p.here {
		if v.sockets > 0 || !connected {
			ids = append(ids, id)
		}
	}
	return ids
}

// names returns the names of the visitors among threads that are online here.
func (p *presence) names(threads []string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := make(map[string]string, len(threads))
	for _, id := range threads {
		if v := p.here[id]; v != nil {
			names[id] = v.name
		}
	}
	return names
}

// Online reports whether a visitor has a socket, or had one within OfflineAfter.
func (s *Service) Online(ctx context.Context, threadID string) bool {
	online, _ := s.online(ctx, []string{threadID})
	return online[0]
}

// online is like Online for several threads, and returns the versions as of which that is so. A visitor who has just arrived here may not
// be recorded yet; one who leaves afterwards is announced with a higher version.
func (s *Service) online(ctx context.Context, threads []string) (online []bool, versions []int64) {
	online, versions = s.elsewhere.Online(ctx, threads)
	for i, id := range threads {
		_, connected := s.presence.state(id)
		online[i] = online[i] || connected
	}
	return online, versions
}

// VisitorsHere lists the threads whose visitors are online at this process, or only those with a socket.
func (s *Service) VisitorsHere(connected bool) []string { return s.presence.all(connected) }

// VisitorHere reports whether a thread's visitor is online at this process, and has a socket now.
func (s *Service) VisitorHere(threadID string) (online, connected bool) {
	return s.presence.state(threadID)
}

// VisitorsOnline returns the number of visitors online at this process.
func (s *Service) VisitorsOnline() int {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	return len(s.presence.here)
}

// Arrived records that a visitor's socket joined a thread's room, and notifies agents if the visitor was offline before.
func (s *Service) Arrived(a Actor, threadID string) {
	profile, _ := a.Threads.profile(threadID)
	if s.presence.arrive(threadID, profile.DisplayName) {
		s.visitorChanged(threadID, profile.DisplayName, a.SocketID)
	}
}

// Departed records that a visitor's socket is gone.
func (s *Service) Departed(threadID string) {
	s.presence.depart(threadID, func(name string) { s.visitorChanged(threadID, name, "") })
}

func (s *Service) visitorChanged(threadID, name, except string) {
	here := func() bool {
		online, _ := s.presence.state(threadID)
		return online
	}
	s.elsewhere.VisitorChanged(threadID, here, func(online bool, version int64, local bool) {
		s.publishPresence(threadID, name, except, online, version, local)
	})
}

// Announce notifies agents that visitors are online or offline since a version: those at all processes, or with local those at this one.
func (s *Service) Announce(ctx context.Context, threads []string, online bool, version int64, local bool) {
	names := s.presence.names(threads)
	var unknown []string
	for _, id := range threads {
		if _, ok := names[id]; !ok {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		stored, err := s.store.DisplayNames(ctx, unknown)
		if err != nil { // a name may be empty
			s.log.WarnContext(ctx, "failed to read the names of visitors who came or left", slog.Any("error", err))
		}
		maps.Copy(names, stored)
	}
	for _, id := range threads {
		s.publishPresence(id, names[id], "", online, version, local)
	}
}

func (s *Service) publishPresence(threadID, name, except string, online bool, version int64, local bool) {
	about := seen{ThreadID: threadID, DisplayName: name, LastSeen: Time(s.now()), OnlineVersion: version}
	p := Publication{ThreadID: threadID, Presence: version, Except: except, Here: local, Agents: []*Event{{"user_online", about}}}
	if !online {
		p.Presence, p.Except, p.Agents = -version, "", []*Event{{"user_offline", about}}
	}
	s.publisher.Publish(p)
}

// Heartbeat records a visitor's heartbeat. Agents receive it in a batch, see lastSeenInterval.
func (s *Service) Heartbeat(ctx context.Context, a Actor, threadID string) error {
	if threadID == "" {
		threadID, _ = a.Threads.Only()
	}
	if err := a.reach(threadID); err != nil {
		return err
	}
	now := s.now()
	if err := s.store.RecordActivity(ctx, threadID, now); err != nil {
		s.log.WarnContext(ctx, "failed to store a heartbeat", slog.Any("error", err))
	}
	profile, _ := a.Threads.profile(threadID)
	if s.lastSeen.add(seen{ThreadID: threadID, DisplayName: profile.DisplayName, LastSeen: Time(now)}) {
		time.AfterFunc(lastSeenInterval, s.publishLastSeen)
	}
	return nil
}

// lastSeenInterval is how long heartbeats are collected before they are sent to agents. With thousands of visitors one arrives every few
// milliseconds, and sending each to each agent separately costs ten times as much as sending a batch.
const lastSeenInterval = 250 * time.Millisecond

// lastSeenBatch collects heartbeats, the latest one per thread.
type lastSeenBatch struct {
	mu  sync.Mutex
	new map[string]seen
}

// add reports whether it is the first heartbeat since the last take.
func (b *lastSeenBatch) add(v seen) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first = len(b.new) == 0; first {
		b.new = make(map[string]seen)
	}
	b.new[v.ThreadID] = v
	return first
}

func (b *lastSeenBatch) take() map[string]seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.new
	b.new = nil
	return taken
}

// publishLastSeen sends the collected heartbeats to agents.
func (s *Service) publishLastSeen() {
	p := Publication{Volatile: true}
	for _, v := range s.lastSeen.take() {
		p.Agents = append(p.Agents, &Event{"visitor_online", v})
	}
	s.publisher.Publish(p)
}
