package engine

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

type state uint8

const (
	stateOpen    state = iota
	stateClosing       // nothing is taken any more; what is queued still leaves
	stateClosed
)

// volatileDepth is how many frames may wait before a volatile frame is dropped.
const volatileDepth = 16

// Conn is one Engine.IO connection, whatever its transport. It implements the part of the library's engine.Socket that
// the Socket.IO layer uses (library.go). All methods may be called from any goroutine.
type Conn struct {
	listeners
	srv     *Server
	id      string
	remote  string
	account *account // of the address
	opened  time.Time
	trusted atomic.Bool
	packets packetBucket
	req     atomic.Pointer[http.Request]
	user    atomic.Value
	done    chan struct{}
	left    func() // tells whoever admitted it that it has ended

	mu       sync.Mutex
	state    state
	ws       *wsConn // nil while polling
	probe    *wsConn // the websocket of an upgrade in progress
	probed   bool    // that websocket has asked and been answered
	queue    [][]byte
	queued   int  // bytes in the queue and in the hands of the writer
	inbound  int  // bytes of incomplete messages and of messages being handled
	writing  bool // a writer goroutine is at work
	poll     *waitingPoll
	polled   *http.ResponseController // of the GET that is being answered
	posting  bool
	awaiting bool // a ping is out
	heart    *time.Timer
	closing  Closing
}

// ID is the session id: secret, since whoever knows it can speak for the connection.
func (c *Conn) ID() string { return c.id }

// RemoteAddress is the client's address at the handshake.
func (c *Conn) RemoteAddress() string { return c.remote }

// HandshakeRequest is the request that opened the connection, or nil after [Conn.ForgetRequest]. Its body is closed.
func (c *Conn) HandshakeRequest() *http.Request { return c.req.Load() }

// ForgetRequest lets go of the handshake's headers, which would otherwise weigh on every idle connection.
func (c *Conn) ForgetRequest() { c.req.Store(nil) }

// Done is closed when the connection takes no more.
func (c *Conn) Done() <-chan struct{} { return c.done }

// SetUser keeps a value with the connection; User returns it.
func (c *Conn) SetUser(v any) { c.user.Store(v) }

// User returns what SetUser kept, or nil.
func (c *Conn) User() any { return c.user.Load() }

// Queue queues frames made by [AppendText] and [AppendBinary] and returns at once. The frames must not be changed
// afterwards; they may be shared by many connections. It reports whether they were queued: a closed connection takes
// nothing, a connection over its bounds is cut off, and one that lags takes no volatile frames.
func (c *Conn) Queue(frames []byte, volatile bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen || volatile && len(c.queue) >= volatileDepth {
		return false
	}
	if len(c.queue) >= c.srv.opts.QueueFrames || c.queued+len(frames) > c.srv.opts.QueueBytes {
		// Not from here: the caller may hold locks that the listeners of "close" take.
		go c.fail(ClosedSlow)
		return false
	}
	if !c.push(frames) {
		go c.abort(ClosedMemory) // likewise
		return false
	}
	return true
}

// push queues frames and wakes whoever writes. It reports false when the budget is exceeded; the frames are queued all the
// same, for a connection that is about to be cut. The caller holds c.mu.
func (c *Conn) push(frames []byte) bool {
	c.queue = append(c.queue, frames)
	c.queued += len(frames)
	ok := c.charge(len(frames))
	c.wake()
	return ok
}

// sent gives back n bytes that have left, or cannot leave any more. The caller holds c.mu.
func (c *Conn) sent(n int) {
	n = min(n, c.queued)
	c.queued -= n
	c.charge(-n)
}

// dropQueue forgets what waits to leave. The caller holds c.mu.
func (c *Conn) dropQueue() {
	c.queue = nil
	c.sent(c.queued)
}

// wake sees to it that the queue is looked at. The caller holds c.mu.
func (c *Conn) wake() {
	switch {
	case c.ws != nil:
		if !c.writing {
			c.writing = true
			go c.write(c.ws)
		}
	case c.poll != nil:
		c.poll.wake()
	}
}

// take empties the queue. The caller holds c.mu and calls sent once the bytes have left.
func (c *Conn) take() [][]byte {
	batch := c.queue
	c.queue = nil
	return batch
}

// receive acts on one inbound packet and reports whether the connection goes on.
func (c *Conn) receive(p packet) bool {
	switch p.typ {
	case packetMessage:
		c.emitData(&Message{Conn: c, Data: p.data, Binary: p.binary})
	case packetPong:
		c.pong()
	case packetClose:
		c.leave()
	case packetNoop, packetUpgrade:
	default: // open and ping are the server's to send
		c.fail(ClosedParse)
	}
	return c.isOpen()
}

func (c *Conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateOpen
}

// beat runs at each heartbeat deadline: the first sends a ping, the second finds it unanswered.
func (c *Conn) beat() {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return
	}
	if c.awaiting {
		c.mu.Unlock()
		c.abort(ClosedHeartbeat)
		return
	}
	c.awaiting = true
	c.push(pingFrame)
	c.heart.Reset(c.srv.opts.PingTimeout)
	c.mu.Unlock()
}

var pingFrame = appendPacket(nil, packetPing, "")

func (c *Conn) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awaiting && c.state == stateOpen {
		c.awaiting = false
		c.heart.Reset(c.srv.opts.PingInterval)
	}
}

// leave ends the connection at the client's wish (a close packet).
func (c *Conn) leave() { c.end(ClosedByClient, stateClosing) }

// fail ends the connection after telling the client why; what is queued still leaves.
func (c *Conn) fail(why Closing) { c.end(why, stateClosing) }

// abort ends the connection at once.
func (c *Conn) abort(why Closing) { c.end(why, stateClosed) }

// CloseWith ends the connection: everything queued leaves first, then the client is told why.
func (c *Conn) CloseWith(why Closing) { c.fail(why) }

// end moves the connection to closing or closed. The first call decides the reason and tells the listeners.
func (c *Conn) end(why Closing, to state) {
	c.mu.Lock()
	from := c.state
	if from >= to {
		c.mu.Unlock()
		return
	}
	c.state = to
	if from == stateOpen {
		c.closing = why
		close(c.done)
		c.heart.Stop()
		c.charge(-c.inbound)
		c.inbound = 0
	}
	probe := c.probe
	c.probe = nil
	c.finish(to)
	c.mu.Unlock()

	if probe != nil {
		probe.close()
	}
	if from == stateOpen {
		c.srv.closed(c, why)
		c.emitClose(why.Reason)
	}
}

// finish winds the transport up: gently for closing, at once for closed. The caller holds c.mu.
func (c *Conn) finish(to state) {
	if to == stateClosed {
		c.dropQueue()
		if c.ws != nil {
			c.ws.close()
		}
		if c.polled != nil { // an answer that its client does not read ends as well
			_ = c.polled.SetWriteDeadline(time.Now())
		}
		c.srv.forget(c)
		if c.poll != nil {
			c.poll.wake()
		}
		return
	}
	if c.closing == ClosedSlow {
		// It has missed something by now, so the rest is of no use to it. If it wakes up in time, it hears why.
		c.dropQueue()
	}
	if c.ws == nil {
		c.finishPolling()
		return
	}
	c.srv.forget(c)
	c.ws.nc.SetWriteDeadline(time.Now().Add(lingering)) // a write that hangs on this client ends as well
	c.wake()
}
