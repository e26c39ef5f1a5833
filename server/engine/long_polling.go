package engine

import (
	"errors"
	"io"
	"net/http"
	"time"

	"sohbet/server/signal"
)

const (
	// holdDuringUpgrade is how long a GET received after the upgrade's probe is held before it is answered with a noop: usually the
	// upgrade packet arrives within that time and determines the answer.
	holdDuringUpgrade = 100 * time.Millisecond
	// lastPoll is how long a session closed by the server waits for the client's next GET to deliver the close packet.
	lastPoll = 5 * time.Second
)

// waitingPoll is a GET that waits for packets.
type waitingPoll struct {
	wake signal.Signal
	last string // response if the session has ended; empty means status 400
	noop bool   // answer with a noop because an upgrade has begun
}

func newWaitingPoll() *waitingPoll { return &waitingPoll{wake: signal.New()} }

// finishPolling closes a polling session. The caller holds c.mu and has set c.closing.
func (c *Conn) finishPolling() {
	if c.closing == ClosedByClient {
		c.state = stateClosed
		c.dropQueue()
		c.srv.forget(c)
		if c.poll != nil {
			c.poll.last = string(packetNoop)
			c.poll.wake.Set()
		}
		return
	}
	c.queue = append(c.queue, closeFrame)
	if c.poll != nil {
		c.poll.wake.Set()
		return
	}
	time.AfterFunc(lastPoll, func() { c.abort(c.closing) })
}

var closeFrame = appendPacket(nil, packetClose, "")

// servePoll handles a GET: it responds with the queued packets, or waits until there are some.
func (c *Conn) servePoll(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	switch {
	case c.state == stateClosed:
		c.mu.Unlock()
		refuse(w, errUnknownSID)
		return
	case c.ws != nil:
		c.mu.Unlock()
		refuse(w, errBadRequest)
		return
	case c.poll != nil:
		c.mu.Unlock()
		c.abortRequest(ClosedOverlap)
		refuse(w, errBadRequest)
		return
	}
	poll := newWaitingPoll()
	c.poll = poll
	if len(c.queue) > 0 {
		poll.wake.Set()
	}
	noop := false
	var held <-chan time.Time
	if c.probed {
		held = time.After(holdDuringUpgrade)
	}
	c.mu.Unlock()

	select {
	case <-poll.wake:
	case <-held:
		noop = true
	case <-r.Context().Done():
		if !c.upgraded() { // an upgraded session no longer needs this GET
			c.abort(ClosedByClient)
		}
	}

	c.mu.Lock()
	c.poll = nil
	noop = noop || poll.noop
	var batch [][]byte
	upgraded := c.ws != nil
	var probe *wsConn
	patience := c.srv.opts.BodyTimeout
	if !upgraded {
		batch = c.take()
		if c.state == stateClosing && len(batch) > 0 { // batch contains the close packet
			c.state = stateClosed
			c.srv.forget(c)
			patience = lingering
			probe, c.probe = c.probe, nil
		}
	}
	closed := c.state == stateClosed
	control := http.NewResponseController(w)
	if len(batch) > 0 {
		c.polled = control
	}
	c.mu.Unlock()

	if probe != nil {
		probe.close()
	}
	switch {
	case len(batch) > 0:
		c.answerPoll(w, control, batch, patience)
	case closed && poll.last != "":
		answer(w, "text/plain; charset=UTF-8", []byte(poll.last))
	case closed:
		refuse(w, errUnknownSID)
	case noop:
		answer(w, "text/plain; charset=UTF-8", []byte{packetNoop})
	default:
		refuse(w, errBadRequest)
	}
}

// answerPoll responds to a GET with frames. A client that does not read the response within patience, or within the heartbeat, is
// disconnected. The client's next GET may arrive, and be answered, before this returns.
func (c *Conn) answerPoll(w http.ResponseWriter, control *http.ResponseController, batch [][]byte, patience time.Duration) {
	taken := 0
	for _, frames := range batch {
		taken += len(frames)
	}
	payload := make([]byte, 0, taken)
	for i, frames := range batch {
		payload = appendPayload(payload, frames)
		batch[i] = nil
	}
	// Test recorders do not support deadlines.
	_ = control.SetWriteDeadline(time.Now().Add(patience))
	err := answer(w, "text/plain; charset=UTF-8", payload)
	if err == nil {
		err = control.Flush()
	}
	if errors.Is(err, http.ErrNotSupported) {
		err = nil
	}
	c.mu.Lock()
	c.sent(taken)
	if err == nil {
		_ = control.SetWriteDeadline(time.Time{})
	}
	if c.polled == control {
		c.polled = nil
	}
	c.mu.Unlock()
	if err != nil {
		c.abort(ClosedTransport)
	}
}

// abortRequest aborts a polling session. A waiting GET is woken; the caller answers the request that caused it.
func (c *Conn) abortRequest(why Closing) {
	c.mu.Lock()
	if c.poll != nil {
		c.poll.last = string(packetClose)
	}
	c.mu.Unlock()
	c.abort(why)
}

// serveData handles a POST: the packets of its payload are handled in order before the response.
func (c *Conn) serveData(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	open, upgraded, overlap := c.state == stateOpen, c.ws != nil, c.posting
	if open && !upgraded && !overlap {
		c.posting = true
	}
	c.mu.Unlock()
	switch {
	case !open:
		refuse(w, errUnknownSID)
		return
	case upgraded:
		refuse(w, errBadRequest)
		return
	case overlap:
		// Two concurrent bodies have no order, and protocol-conforming clients do not send them.
		c.fail(ClosedOverlap)
		refuse(w, errBadRequest)
		return
	}
	defer func() { // before the client has the response, because it may then upgrade
		c.mu.Lock()
		c.posting = false
		c.mu.Unlock()
	}()

	body, err := c.readBody(w, r)
	defer func() { c.Release(len(body)) }()
	if err != nil {
		return
	}
	err = decodePayload(body, func(p packet) bool { return c.allowPacket() && c.receive(p) })
	switch {
	case c.packets.over():
		c.abortRequest(ClosedFlood)
		refuse(w, errFlood)
	case errors.Is(err, errText):
		c.abortRequest(ClosedText)
		refuse(w, errBadRequest)
	case err != nil:
		c.abortRequest(ClosedParse)
		refuse(w, errBadRequest)
	default:
		answer(w, "text/html", []byte("ok"))
	}
}

// readBody reads a POST body within its size and time limits. On failure it responds with an error and closes the session.
func (c *Conn) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := int64(c.limit())
	if r.ContentLength > limit {
		c.fail(ClosedTooBig)
		refuse(w, errTooBig)
		return nil, errTooBig
	}
	control := http.NewResponseController(w)
	// Test recorders do not support deadlines.
	_ = control.SetReadDeadline(time.Now().Add(c.srv.opts.BodyTimeout))
	body, err := io.ReadAll(counted{http.MaxBytesReader(w, r.Body, limit), c})
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		c.fail(ClosedTooBig)
		refuse(w, errTooBig)
	case errors.Is(err, errMemory):
		refuse(w, errCrowded)
	case err != nil:
		c.fail(ClosedSlowBody)
		refuse(w, errBadRequest)
	default:
		_ = control.SetReadDeadline(time.Time{})
	}
	return body, err
}

// counted counts the bytes read against the connection's budget. The caller that reads the body releases them.
type counted struct {
	body io.Reader
	conn *Conn
}

func (r counted) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if n > 0 && !r.conn.Hold(n) {
		return 0, errMemory
	}
	return n, err
}
