package realtime

import (
	"slices"
	"sync"
)

// rooms are the named groups of sockets on this process.
type rooms struct {
	mu     sync.RWMutex // guards byName and every socket's list; locked before a room's own mutex
	byName map[string]*room
	made   uint64
}

type room struct {
	name   string
	serial uint64 // the order in which several rooms are locked

	mu      sync.Mutex // held while queuing to members, so that all of them get the same order
	members map[*Socket]struct{}
}

func (r *rooms) join(s *Socket, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.left {
		return
	}
	ro := r.byName[name]
	if ro == nil {
		r.made++
		ro = &room{name: name, serial: r.made, members: make(map[*Socket]struct{}, 1)}
		r.byName[name] = ro
	}
	if slices.Contains(s.joined, ro) {
		return
	}
	s.joined = append(s.joined, ro)
	ro.mu.Lock()
	ro.members[s] = struct{}{}
	ro.mu.Unlock()
}

func (r *rooms) leave(s *Socket, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ro := r.byName[name]
	if i := slices.Index(s.joined, ro); i >= 0 {
		s.joined = slices.Delete(s.joined, i, i+1)
		r.drop(ro, s)
	}
}

func (r *rooms) leaveAll(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.left = true
	for _, ro := range s.joined {
		r.drop(ro, s)
	}
	s.joined = nil
}

// drop removes s from ro. The caller holds r.mu.
func (r *rooms) drop(ro *room, s *Socket) {
	ro.mu.Lock()
	delete(ro.members, s)
	empty := len(ro.members) == 0
	ro.mu.Unlock()
	if empty {
		delete(r.byName, ro.name)
	}
}

func (r *rooms) get(name string) *room {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byName[name]
}

// Members returns the number of sockets in a room.
func (s *Server) Members(name string) int {
	ro := s.rooms.get(name)
	if ro == nil {
		return 0
	}
	ro.mu.Lock()
	defer ro.mu.Unlock()
	return len(ro.members)
}

// Group is a list of frames for the members of one room, or for those of one side (see [Socket.SetSide]).
type Group struct {
	Room   string
	Frames []Frame
	Only   Side
}

// Side distinguishes the two sides of a conversation within a room. The zero Side means both.
type Side uint8

func (g Group) has(ro *room, s *Socket) bool {
	if ro == nil || g.Only != 0 && Side(s.side.Load()) != g.Only {
		return false
	}
	_, ok := ro.members[s]
	return ok
}

// Publication consists of frames for one or two rooms, or for the two sides of one room. A socket in both groups receives the frames of
// both, but a frame that is in both groups only once. All frames for a socket are queued together.
type Publication struct {
	First, Second Group
	// Except is the id of a socket that receives nothing: usually the one that caused the publication.
	Except string
	// Volatile frames are dropped for slow sockets.
	Volatile bool
}

// Publish queues a publication to every member and returns immediately. All members of a room receive its publications in the same
// order. It returns the number of sockets reached.
func (s *Server) Publish(p Publication) int {
	first, second := s.rooms.get(p.First.Room), s.rooms.get(p.Second.Room)
	unlock := lockInOrder(first, second)
	defer unlock()

	sent := 0
	send := func(to *Socket, frames []byte) {
		if len(frames) > 0 && to.ID() != p.Except && to.session.conn.Queue(frames, p.Volatile) {
			sent++
		}
	}
	var firstOnly, secondOnly, both []byte
	deliver := func(so *Socket) {
		inFirst, inSecond := p.First.has(first, so), p.Second.has(second, so)
		switch {
		case inFirst && inSecond:
			if both == nil {
				both = joinFrames(p.First.Frames, p.Second.Frames)
			}
			send(so, both)
		case inFirst:
			if firstOnly == nil {
				firstOnly = joinFrames(p.First.Frames, nil)
			}
			send(so, firstOnly)
		case inSecond:
			if secondOnly == nil {
				secondOnly = joinFrames(p.Second.Frames, nil)
			}
			send(so, secondOnly)
		}
	}
	if first != nil {
		for so := range first.members {
			deliver(so)
		}
	}
	if second == nil || second == first {
		return sent
	}
	for so := range second.members {
		if first != nil {
			if _, done := first.members[so]; done {
				continue
			}
		}
		deliver(so)
	}
	return sent
}

func lockInOrder(a, b *room) (unlock func()) {
	switch {
	case a == nil && b == nil:
		return func() {}
	case a == nil || a == b:
		b.mu.Lock()
		return b.mu.Unlock
	case b == nil:
		a.mu.Lock()
		return a.mu.Unlock
	}
	if b.serial < a.serial {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() { b.mu.Unlock(); a.mu.Unlock() }
}

// joinFrames concatenates frames, leaving out those of more that are already in frames.
func joinFrames(frames, more []Frame) []byte {
	if len(frames) == 1 && len(more) == 0 {
		return frames[0]
	}
	var out []byte
	for _, f := range frames {
		out = append(out, f...)
	}
	for _, f := range more {
		if !slices.ContainsFunc(frames, func(o Frame) bool { return len(o) == len(f) && &o[0] == &f[0] }) {
			out = append(out, f...)
		}
	}
	return out
}
