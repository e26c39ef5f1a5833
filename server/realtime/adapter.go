package realtime

import (
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"
)

// adapter provides the library with this package's rooms: io.To("room").Emit(…) reaches the same members as [Server.Publish]. The
// broadcasts of one goroutine arrive in order; only Publish also gives all members the same order for several goroutines. The room that
// the library creates for every socket's own id is looked up in the namespace and uses no memory.
type adapter struct {
	socket.Adapter // the library's adapter, for methods that do not use rooms
	srv            *Server
}

type adapterBuilder struct{ srv *Server }

func (b *adapterBuilder) New(n socket.Namespace) socket.Adapter {
	a := &adapter{Adapter: socket.MakeAdapter(), srv: b.srv}
	a.Prototype(a)
	a.Construct(n)
	return a
}

func ours(s *socket.Socket) *Socket {
	so, _ := s.Data().(*Socket)
	return so
}

func (a *adapter) find(id socket.SocketId) *Socket {
	if s, ok := a.Nsp().Sockets().Load(id); ok {
		return ours(s)
	}
	return nil
}

// AddAll adds a socket to rooms.
func (a *adapter) AddAll(id socket.SocketId, rooms *types.Set[socket.Room]) {
	s := a.find(id)
	if s == nil {
		return
	}
	for _, name := range rooms.Keys() {
		if string(name) != string(id) {
			s.Join(string(name))
		}
	}
}

// Del removes a socket from a room.
func (a *adapter) Del(id socket.SocketId, name socket.Room) {
	if s := a.find(id); s != nil {
		s.Leave(string(name))
	}
}

// DelAll removes a socket from every room.
func (a *adapter) DelAll(id socket.SocketId) {
	if s := a.find(id); s != nil {
		a.srv.rooms.leaveAll(s)
	}
}

// SocketRooms lists a socket's rooms, including its own.
func (a *adapter) SocketRooms(id socket.SocketId) *types.Set[socket.Room] {
	set := types.NewSet[socket.Room]()
	if s := a.find(id); s != nil {
		set.Add(socket.Room(id))
		for _, name := range a.srv.rooms.of(s) {
			set.Add(socket.Room(name))
		}
	}
	return set
}

// Broadcast sends a packet, encoded once, to the sockets selected by opts.
func (a *adapter) Broadcast(p *parser.Packet, opts *socket.BroadcastOptions) {
	p.Nsp = a.Nsp().Name()
	frames, err := encodeFrames(p)
	if err != nil {
		return
	}
	volatile := opts != nil && opts.Flags != nil && opts.Flags.Volatile
	a.each(opts, func(s *Socket) { s.conn.Queue(frames, volatile) })
}

// BroadcastWithAck is like Broadcast and calls ack for each acknowledgement.
func (a *adapter) BroadcastWithAck(p *parser.Packet, opts *socket.BroadcastOptions, count func(uint64), ack socket.Ack) {
	p.Nsp = a.Nsp().Name()
	id := a.Nsp().Ids()
	p.Id = &id
	frames, err := encodeFrames(p)
	if err != nil {
		count(0)
		return
	}
	var n uint64
	a.each(opts, func(s *Socket) {
		n++
		s.lib.Acks().Store(id, ack)
		s.conn.Queue(frames, false)
	})
	count(n)
}

// Sockets returns the ids of the members of rooms.
func (a *adapter) Sockets(rooms *types.Set[socket.Room]) *types.Set[socket.SocketId] {
	ids := types.NewSet[socket.SocketId]()
	a.each(&socket.BroadcastOptions{Rooms: rooms}, func(s *Socket) { ids.Add(s.lib.Id()) })
	return ids
}

// FetchSockets returns the sockets selected by opts.
func (a *adapter) FetchSockets(opts *socket.BroadcastOptions) func(func([]socket.SocketDetails, error)) {
	return func(callback func([]socket.SocketDetails, error)) {
		var found []socket.SocketDetails
		a.each(opts, func(s *Socket) { found = append(found, s.lib) })
		callback(found, nil)
	}
}

// AddSockets adds the sockets selected by opts to rooms.
func (a *adapter) AddSockets(opts *socket.BroadcastOptions, rooms []socket.Room) {
	a.each(opts, func(s *Socket) {
		for _, name := range rooms {
			s.Join(string(name))
		}
	})
}

// DelSockets removes the sockets selected by opts from rooms.
func (a *adapter) DelSockets(opts *socket.BroadcastOptions, rooms []socket.Room) {
	a.each(opts, func(s *Socket) {
		for _, name := range rooms {
			s.Leave(string(name))
		}
	})
}

// DisconnectSockets disconnects the sockets selected by opts.
func (a *adapter) DisconnectSockets(opts *socket.BroadcastOptions, status bool) {
	a.each(opts, func(s *Socket) { s.lib.Disconnect(status) })
}

// each calls fn once for every socket of the namespace that is in one of the rooms (or for all, if none is given) and in none of the
// excluded ones.
func (a *adapter) each(opts *socket.BroadcastOptions, fn func(*Socket)) {
	var rooms, except []socket.Room
	if opts != nil {
		if opts.Rooms != nil {
			rooms = opts.Rooms.Keys()
		}
		if opts.Except != nil {
			except = opts.Except.Keys()
		}
	}
	seen := make(map[*Socket]bool)
	for _, name := range except {
		a.members(name, func(s *Socket) { seen[s] = true })
	}
	var chosen []*Socket
	choose := func(s *Socket) {
		if !seen[s] {
			seen[s] = true
			chosen = append(chosen, s)
		}
	}
	if len(rooms) == 0 {
		a.Nsp().Sockets().Range(func(_ socket.SocketId, lib *socket.Socket) bool {
			if s := ours(lib); s != nil {
				choose(s)
			}
			return true
		})
	}
	for _, name := range rooms {
		a.members(name, choose)
	}
	for _, s := range chosen {
		fn(s)
	}
}

func (a *adapter) members(name socket.Room, fn func(*Socket)) {
	if s := a.find(socket.SocketId(name)); s != nil {
		fn(s)
		return
	}
	ro := a.srv.rooms.get(string(name))
	if ro == nil {
		return
	}
	ro.mu.Lock()
	defer ro.mu.Unlock()
	for s := range ro.members {
		if s.namespace == a.Nsp().Name() {
			fn(s)
		}
	}
}
