package engine

import (
	"sync/atomic"
	"time"
)

// packetBucket is a token bucket for the packets and frames that a client sends. It is refilled only when empty, because reading the
// clock costs more than taking a token.
type packetBucket struct {
	tokens atomic.Int32
	filled time.Time // guarded by Conn.mu; zero until the first refill
}

func (b *packetBucket) over() bool { return b.tokens.Load() < 0 }

// allowPacket takes a token from the connection's bucket, and reports false if there is none.
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
