package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// budget counts the bytes that connections hold in memory: what has arrived of messages that are not complete or not handled
// yet, and what waits to be written. Without it the per-connection bounds multiply by the number of connections.
type budget struct {
	total   atomic.Int64
	mu      sync.Mutex
	byKey   map[string]*account
	running atomic.Bool // relieve is at work
}

// alwaysHeld is how many bytes a connection may hold however much others do, so that those who hold the most cannot have it cut.
const alwaysHeld = 16 << 10

// account is one address's share of the budget. It exists while the address has connections.
type account struct {
	key   string
	held  atomic.Int64
	conns int // guarded by budget.mu
}

func (b *budget) open(key string) *account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.byKey[key]
	if a == nil {
		a = &account{key: key}
		b.byKey[key] = a
	}
	a.conns++
	return a
}

func (b *budget) close(a *account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.conns--; a.conns == 0 {
		delete(b.byKey, a.key)
	}
}

// charge adds n bytes, negative to give them back, to what the connection holds. When that exceeds the budget, connections
// are cut; when it exceeds the budget by a quarter because cutting has not caught up, charge reports false for a connection
// that holds more than a little, and the caller must not keep the bytes. The caller holds c.mu.
func (c *Conn) charge(n int) bool {
	if n == 0 {
		return true
	}
	s := c.srv
	address, total := c.account.held.Add(int64(n)), s.budget.total.Add(int64(n))
	if n <= 0 {
		return true
	}
	overAddress, overTotal := address-int64(s.opts.AddressBytes), total-int64(s.opts.TotalBytes)
	if overAddress <= 0 && overTotal <= 0 {
		return true
	}
	if s.budget.running.CompareAndSwap(false, true) {
		go s.relieve() // not from here: it takes the locks of connections
	}
	return c.queued+c.inbound <= alwaysHeld || overAddress <= int64(s.opts.AddressBytes/4) && overTotal <= int64(s.opts.TotalBytes/4)
}

// relieve cuts the connections that hold the most until every address and all together are at three quarters of the budget,
// so that the search is paid for by the bytes that it frees.
func (s *Server) relieve() {
	defer s.budget.running.Store(false)
	type holder struct {
		conn *Conn
		held int
	}
	var holders []holder
	s.mu.RLock()
	for _, c := range s.conns {
		holders = append(holders, holder{conn: c})
	}
	s.mu.RUnlock()
	for i := range holders { // not under s.mu: a connection that ends takes that lock while it holds its own
		c := holders[i].conn
		c.mu.Lock()
		holders[i].held = c.queued + c.inbound
		c.mu.Unlock()
	}
	slices.SortFunc(holders, func(a, b holder) int { return cmp.Compare(b.held, a.held) })
	each, all := int64(s.opts.AddressBytes), int64(s.opts.TotalBytes)
	overTotal := s.budget.total.Load() > all
	over := make(map[*account]bool)
	for _, h := range holders {
		a := h.conn.account
		if h.held == 0 {
			return
		}
		if a.held.Load() > each {
			over[a] = true
		}
		if over[a] && a.held.Load() > each/4*3 || overTotal && s.budget.total.Load() > all/4*3 {
			h.conn.abort(ClosedMemory)
		}
	}
}

// Hold counts n bytes of the client's that are kept until [Conn.Release]. It reports false when there is no room, for which the
// connection is cut, or when the connection is closed: the bytes are then not counted and must be dropped.
func (c *Conn) Hold(n int) bool {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return false
	}
	c.inbound += n
	ok := c.charge(n)
	c.mu.Unlock()
	if !ok {
		c.abort(ClosedMemory)
	}
	return ok
}

// Release gives bytes back that Hold counted. The end of the connection gives all of them back.
func (c *Conn) Release(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, c.inbound)
	c.inbound -= n
	c.charge(-n)
}

// packetBucket is a token bucket for what a client sends, down to the smallest frame. Reading the clock costs more than
// taking a token, so the bucket is filled again only when it is empty.
type packetBucket struct {
	tokens atomic.Int32
	filled time.Time // guarded by Conn.mu; zero until the first refill
}

func (b *packetBucket) over() bool { return b.tokens.Load() < 0 }

// allowPacket takes a token of the connection's bucket, and reports false when there is none.
func (c *Conn) allowPacket() bool {
	burst, every := c.srv.opts.PacketBurst, c.srv.opts.PacketEvery
	if burst == 0 || c.packets.tokens.Add(-1) >= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now, since := time.Now(), c.packets.filled
	if since.IsZero() {
		since = c.opened
	}
	n := min(int64(now.Sub(since)/every), int64(burst))
	if n < 1 {
		return false
	}
	c.packets.filled = now
	c.packets.tokens.Store(int32(n) - 1)
	return true
}

// limit is the most bytes that a message of the client may have now.
func (c *Conn) limit() int {
	if c.trusted.Load() {
		return c.srv.opts.MaxPayload
	}
	return c.srv.opts.EarlyPayload
}

// Trust lets the client send messages of up to Options.MaxPayload, once it has shown that it speaks the protocol above.
func (c *Conn) Trust() { c.trusted.Store(true) }
