package engine

import (
	"time"

	"github.com/gobwas/ws"
)

// The upgrade from polling to websocket (Engine.IO protocol, "Upgrade"): on the websocket the client sends "2probe", receives "3probe",
// ends its pending GET, and sends "5". From then on the session uses the websocket.

var probeAnswer = appendPacket(nil, packetPong, "probe")

// beginUpgrade accepts a websocket for upgrading this session, or refuses it.
func (c *Conn) beginUpgrade(w *wsConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen || c.ws != nil || c.probe != nil {
		return false
	}
	c.probe = w
	time.AfterFunc(c.srv.opts.UpgradeTimeout, func() {
		if c.dropProbe(w) {
			w.close()
		}
	})
	return true
}

// dropProbe cancels the upgrade if w is still being probed; the session keeps polling. It reports whether w was.
func (c *Conn) dropProbe(w *wsConn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ws == w {
		return false
	}
	if c.probe == w {
		c.probe, c.probed = nil, false
	}
	return true
}

// onProbe handles a message on a websocket that is not the session's transport yet.
func (c *Conn) onProbe(w *wsConn, op ws.OpCode, payload []byte) error {
	if op != ws.OpText {
		return errFrame
	}
	switch string(payload) {
	case "2probe":
		c.mu.Lock()
		if c.probe != w || c.state != stateOpen {
			c.mu.Unlock()
			return errOver
		}
		c.probed = true
		waiting := c.poll
		c.mu.Unlock()
		if err := w.writeNow(probeAnswer); err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if waiting != nil && c.poll == waiting { // a later GET waits for the upgrade packet
			waiting.noop = true
			waiting.wake.Set()
		}
		return nil
	case "5":
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.probe != w || !c.probed || c.state == stateClosed || c.posting { // conforming clients wait for their POST
			return errOver
		}
		c.ws, c.probe, c.probed = w, nil, false
		w.upgrading = false
		if c.state == stateClosing {
			c.queue = c.queue[:len(c.queue)-1] // polling's close packet
			c.finishWebsocket()
			return nil
		}
		if c.poll != nil {
			c.poll.wake.Set()
		}
		if len(c.queue) > 0 {
			c.wake()
		}
		return nil
	}
	return errFrame
}
