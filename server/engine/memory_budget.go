package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// budget counts the bytes that connections hold in memory: incomplete or unhandled messages, and data queued for writing. Limits per
// connection alone would allow their sum to exceed the memory.
type budget struct {
	total   atomic.Int64
	mu      sync.Mutex
	byKey   map[string]*account
	running atomic.Bool // relieve is running
}

// alwaysHeld is how many bytes a connection may hold regardless of others, so that clients that exhaust the budget cannot get ordinary
// ones disconnected.
const alwaysHeld = 16 << 10

// account is the share of the budget used by one address. It exists while the address has connections.
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

// charge adds n bytes (negative to release them) to what the connection holds. If that exceeds the budget, connections are closed. If
// it exceeds the budget by more than a quarter, charge reports false for a connection that holds more than alwaysHeld, and the caller
// must not keep the bytes. The caller holds c.mu.
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
		go s.freeMemory() // in a goroutine, because it locks other connections
	}
	return c.queued+c.inbound <= alwaysHeld || overAddress <= int64(s.opts.AddressBytes/4) && overTotal <= int64(s.opts.TotalBytes/4)
}

// freeMemory closes the connections that hold the most until every address and the total are at three quarters of the budget, so that it
// does not run again immediately.
func (s *Server) freeMemory() {
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
	for i := range holders { // not under s.mu: a connection that ends takes s.mu while it holds its own lock
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

// Hold counts n bytes of received data that are kept until [Conn.Release]. It reports false if the budget is exceeded, in which case
// the connection is closed, or if the connection is closed: the bytes are not counted and must be dropped.
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

// Release releases bytes that Hold counted. All bytes are released when the connection ends.
func (c *Conn) Release(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, c.inbound)
	c.inbound -= n
	c.charge(-n)
}
