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
	stateClosing       // accepts nothing new; queued frames are still sent
	stateClosed
)

// volatileDepth is how many frames may be queued before volatile frames are dropped.
const volatileDepth = 16

// Handler handles what a connection receives.
type Handler interface {
	// Message handles one message, without the packet type. It is called for one message at a time, in order; data is valid only until
	// it returns.
	Message(data []byte, binary bool)
	// Closed is called once when the connection has ended, with the reason; also while Message is running.
	Closed(reason string)
}

// Conn is one Engine.IO connection with any transport. It is safe for concurrent use.
type Conn struct {
	handler Handler // set before the first message
	srv     *Server
	id      string
	remote  string
	account *account // of the client's address
	opened  time.Time
	trusted atomic.Bool
	packets packetBucket
	req     atomic.Pointer[http.Request]
	done    chan struct{}
	left    func() // the leave function of Options.Admit

	mu       sync.Mutex
	state    state
	ws       *wsConn // nil while polling
	probe    *wsConn // the websocket of an upgrade in progress
	probed   bool    // the probe was received and answered
	queue    [][]byte
	queued   int  // bytes queued and being written
	inbound  int  // bytes of incomplete messages and of messages being handled
	writing  bool // a goroutine writes the queue, or is about to
	corked   bool // the reader will send answers when it has handled a message
	poll     *waitingPoll
	polled   *http.ResponseController // of the GET that is being answered
	posting  bool
	awaiting bool // a ping is unanswered
	heart    *time.Timer
	closing  Closing
}

// ID returns the session id. It is secret: whoever has it can act as the client.
func (c *Conn) ID() string { return c.id }

// RemoteAddress returns the client's address at the handshake.
func (c *Conn) RemoteAddress() string { return c.remote }

// HandshakeRequest returns the request that opened the connection, or nil after [Conn.ForgetRequest]. Its body is closed.
func (c *Conn) HandshakeRequest() *http.Request { return c.req.Load() }

// ForgetRequest releases the handshake's headers, to save memory in idle connections.
func (c *Conn) ForgetRequest() { c.req.Store(nil) }

// Done returns a channel that is closed when the connection ends.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Handle sets the connection's handler. Call it only in a function of [Server.OnConnect].
func (c *Conn) Handle(h Handler) { c.handler = h }

// Open reports whether the connection accepts frames.
func (c *Conn) Open() bool { return c.isOpen() }

// Queue queues frames made by [AppendText] and [AppendBinary] and returns immediately. The frames must not be modified afterwards; they
// may be shared by many connections. It reports whether they were queued: a closed connection accepts nothing, a connection over its
// limits is closed, and a slow one drops volatile frames.
func (c *Conn) Queue(frames []byte, volatile bool) bool { return c.enqueue(frames, volatile, false) }

// Answer is Queue for the answer to a message. While the message is being handled it is not sent; the reader does that at once afterwards,
// which takes no other goroutine.
func (c *Conn) Answer(frames []byte) bool { return c.enqueue(frames, false, true) }

func (c *Conn) enqueue(frames []byte, volatile, answer bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen || volatile && len(c.queue) >= volatileDepth {
		return false
	}
	if len(c.queue) >= c.srv.opts.QueueFrames || c.queued+len(frames) > c.srv.opts.QueueBytes {
		// In a goroutine: the caller may hold locks that the listeners of "close" take.
		go c.fail(ClosedSlow)
		return false
	}
	ok := c.add(frames)
	if !answer || !c.corked {
		c.wake()
	}
	if !ok {
		go c.abort(ClosedMemory) // in a goroutine for the same reason
	}
	return ok
}

// add queues frames. It reports false if the budget is exceeded; the frames are queued anyway, because the connection will be closed.
// The caller holds c.mu.
func (c *Conn) add(frames []byte) bool {
	c.queue = append(c.queue, frames)
	c.queued += len(frames)
	return c.charge(len(frames))
}

// push queues frames and starts a writer if needed. The caller holds c.mu.
func (c *Conn) push(frames []byte) {
	c.add(frames)
	c.wake()
}

// sent releases n bytes that were written or discarded. The caller holds c.mu.
func (c *Conn) sent(n int) {
	n = min(n, c.queued)
	c.queued -= n
	c.charge(-n)
}

// dropQueue discards the queue. The caller holds c.mu.
func (c *Conn) dropQueue() {
	c.queue = nil
	c.sent(c.queued)
}

// wake makes a writer or a waiting GET process the queue. The caller holds c.mu.
func (c *Conn) wake() {
	switch {
	case c.ws != nil:
		if !c.writing {
			c.writing = true
			c.srv.writers.add(c.ws)
		}
	case c.poll != nil:
		c.poll.wake.Set()
	}
}

// take empties the queue. The caller holds c.mu and calls sent once the bytes are written.
func (c *Conn) take() [][]byte {
	batch := c.queue
	c.queue = nil
	return batch
}

// receive handles one inbound packet and reports whether the connection stays open.
func (c *Conn) receive(p packet) bool {
	switch p.typ {
	case packetMessage:
		if c.handler != nil {
			c.handler.Message(p.data, p.binary)
		}
	case packetPong:
		c.pong()
	case packetClose:
		c.leave()
	case packetNoop, packetUpgrade:
	default: // only the server sends open and ping packets
		c.fail(ClosedParse)
	}
	return c.isOpen()
}

func (c *Conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateOpen
}

func (c *Conn) upgraded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws != nil
}

// sendPing runs at each heartbeat deadline: it sends a ping, or closes the connection if the last ping is unanswered.
func (c *Conn) sendPing() {
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

// leave closes the connection at the client's request (a close packet).
func (c *Conn) leave() { c.end(ClosedByClient, stateClosing) }

// fail closes the connection after sending queued frames and the reason.
func (c *Conn) fail(why Closing) { c.end(why, stateClosing) }

// abort closes the connection immediately.
func (c *Conn) abort(why Closing) { c.end(why, stateClosed) }

// CloseWith closes the connection: queued frames are sent first, then the reason.
func (c *Conn) CloseWith(why Closing) { c.fail(why) }

// Abort closes the connection immediately.
func (c *Conn) Abort(why Closing) { c.abort(why) }

// end moves the connection to stateClosing or stateClosed. The first call determines the reason and calls the listeners.
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
	c.finish(to)
	var probe *wsConn
	if c.state == stateClosed || !c.probed { // otherwise the client has stopped polling, and gets the queue after the upgrade
		probe, c.probe = c.probe, nil
	}
	c.mu.Unlock()

	if probe != nil {
		probe.close()
	}
	if from == stateOpen {
		c.srv.closed(c, why)
		if c.handler != nil {
			c.handler.Closed(why.Reason)
		}
	}
}

// finish shuts the transport down: gracefully for stateClosing, immediately for stateClosed. The caller holds c.mu.
func (c *Conn) finish(to state) {
	if to == stateClosed {
		c.dropQueue()
		if c.ws != nil {
			c.ws.close()
		}
		if c.polled != nil { // aborts a response that the client does not read
			_ = c.polled.SetWriteDeadline(time.Now())
		}
		c.srv.forget(c)
		if c.poll != nil {
			c.poll.wake.Set()
		}
		return
	}
	if c.closing == ClosedSlow {
		// Frames were dropped already, so the rest of the queue is useless to the client. It still gets the reason if it reads in time.
		c.dropQueue()
	}
	if c.ws == nil {
		c.finishPolling()
		return
	}
	c.finishWebsocket()
}

// finishWebsocket closes a websocket session after its queue. The caller holds c.mu and has set c.closing.
func (c *Conn) finishWebsocket() {
	c.srv.forget(c)
	if c.corked && c.ws.left && !c.writing {
		return // the reader answers the client's close frame at once
	}
	c.ws.nc.SetWriteDeadline(time.Now().Add(lingering)) // also aborts a write that is blocked on this client
	c.wake()
}

// limit returns the current maximum size of a message from the client in bytes.
func (c *Conn) limit() int {
	if c.trusted.Load() {
		return c.srv.opts.MaxPayload
	}
	return c.srv.opts.EarlyPayload
}

// Trust allows the client to send messages of up to Options.MaxPayload, once it has proved that it speaks the protocol above.
func (c *Conn) Trust() { c.trusted.Store(true) }
