package chat

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"sohbet/models"
)

// Others are the other processes that serve the same visitors. When they cannot be reached, answers are based on this process alone.
type Others interface {
	// Arrived records that a thread's visitor has a first socket at this process, and then calls fresh unless another process has one.
	Arrived(threadID string, fresh func())
	// Departed records that the last socket is gone for good, and then calls gone unless another process has one.
	Departed(threadID string, gone func())
	// Online reports for each thread whether its visitor has a socket at another process.
	Online(ctx context.Context, threads []string) []bool
	// ClearedAll makes each of them call [Service.ClearedAll].
	ClearedAll()
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

// arrive adds a socket and reports whether the visitor was offline before.
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

// Online reports whether a visitor has a socket, or had one within OfflineAfter.
func (s *Service) Online(ctx context.Context, threadID string) bool {
	return s.online(ctx, []string{threadID})[0]
}

// online is like Online for several threads. The other processes are queried once, for the visitors without a socket here.
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

// VisitorsOnline returns the number of visitors online at this process.
func (s *Service) VisitorsOnline() int {
	s.presence.mu.Lock()
	defer s.presence.mu.Unlock()
	return len(s.presence.here)
}

// Arrived records that a visitor's socket joined a thread's room, and notifies agents if the visitor was offline before.
func (s *Service) Arrived(a Actor, threadID string) {
	profile, _ := a.Threads.profile(threadID)
	if !s.presence.arrive(threadID, profile.DisplayName) {
		return
	}
	tell := func() { s.publishPresence("user_online", threadID, profile.DisplayName, a.SocketID) }
	if s.others != nil {
		s.others.Arrived(threadID, tell)
		return
	}
	tell()
}

// Departed records that a visitor's socket is gone.
func (s *Service) Departed(threadID string) {
	s.presence.depart(threadID, func(name string) {
		tell := func() { s.publishPresence("user_offline", threadID, name, "") }
		if s.others != nil {
			s.others.Departed(threadID, tell)
			return
		}
		tell()
	})
}

// Lost notifies agents that the visitor of a thread is offline because the process that served them crashed.
func (s *Service) Lost(ctx context.Context, threadID string) {
	t, err := s.store.Thread(ctx, threadID)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		s.log.WarnContext(ctx, "failed to read the name of a visitor who went offline", slog.Any("error", err))
	}
	s.publishPresence("user_offline", threadID, t.DisplayName, "")
}

func (s *Service) publishPresence(event, threadID, name, except string) {
	s.publisher.Publish(Publication{Except: except, Agents: []*Event{{event, seen{
		ThreadID: threadID, DisplayName: name, LastSeen: Time(s.now()),
	}}}})
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
	if err := s.store.Touch(ctx, threadID, now); err != nil {
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
