package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// conn is a Socket.IO client in the default namespace over a raw websocket. It implements just enough of Engine.IO 4 and Socket.IO 5 to
// be cheap: text frames only, no compression, packets compared as bytes. One goroutine may read while others write.
type conn struct {
	net.Conn
	buf  []byte
	r, w int
	left time.Time // end of the run; no read or write waits longer
}

var (
	errServerClosed = errors.New("the server closed the connection")
	pong            = textFrame("3")
)

// textFrame returns a masked websocket text frame with the packet, which may be written any number of times.
func textFrame(packet string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(packet))))
}

// dialRaw opens the TCP connection of client i. For an IPv4 server the clients use the source addresses 127.0.0.1 to 127.0.0.8, so that
// large counts do not run out of ports.
func dialRaw(ctx context.Context, addr string, i int) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1}
	if strings.HasPrefix(addr, "127.") {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%8))}
	}
	return d.DialContext(ctx, "tcp", addr)
}

// connect opens client i and waits for the answer to its CONNECT packet.
func (t *target) connect(ctx context.Context, i int) (*conn, error) {
	return t.connectTo(ctx, t.urls[i%len(t.urls)], i)
}

func (t *target) connectTo(ctx context.Context, server *url.URL, i int) (*conn, error) {
	raw, err := dialRaw(ctx, server.Host, i)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, buf: make([]byte, 1024), left: t.until}
	if err := c.handshake(t, server); err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) handshake(t *target, server *url.URL) error {
	if err := c.SetDeadline(earlier(time.Now().Add(20*time.Second), c.left)); err != nil {
		return err
	}
	br, _, err := t.dialer.Upgrade(c.Conn, server)
	if err != nil {
		return fmt.Errorf("websocket handshake: %w", err)
	}
	if br != nil { // frames that arrived in the same segment as the 101 response
		n := br.Buffered()
		c.grow(n)
		m, err := io.ReadFull(br, c.buf[:n])
		c.w = m
		ws.PutReader(br)
		if err != nil {
			return err
		}
	}
	if err := c.expect("0{"); err != nil {
		return err
	}
	if _, err := c.Write(connectFrame); err != nil {
		return err
	}
	if err := c.expect("40{"); err != nil {
		return err
	}
	return c.SetDeadline(c.left)
}

var connectFrame = textFrame("40")

// expect reads one packet and returns an error unless it starts with prefix.
func (c *conn) expect(prefix string) error {
	p, err := c.next()
	if err != nil {
		return fmt.Errorf("waiting for %q: %w", prefix, err)
	}
	if !bytes.HasPrefix(p, []byte(prefix)) {
		return fmt.Errorf("waiting for %q: got %.60q", prefix, p)
	}
	return nil
}

// next returns the next packet, which is valid until the following call. It answers Engine.IO pings.
func (c *conn) next() ([]byte, error) {
	for {
		op, payload, err := c.frame()
		if err != nil {
			return nil, err
		}
		switch {
		case op == ws.OpClose:
			return nil, errServerClosed
		case op == ws.OpPing:
			f := ws.MustCompileFrame(ws.MaskFrame(ws.NewPongFrame(bytes.Clone(payload))))
			if _, err := c.Write(f); err != nil {
				return nil, err
			}
		case len(payload) == 1 && payload[0] == '2':
			if _, err := c.Write(pong); err != nil {
				return nil, err
			}
		case op == ws.OpText:
			return payload, nil
		}
	}
}

// frame returns the next frame. Servers do not mask frames, and neither server under test fragments messages.
func (c *conn) frame() (ws.OpCode, []byte, error) {
	if err := c.fill(2); err != nil {
		return 0, nil, err
	}
	b0, b1 := c.buf[c.r], c.buf[c.r+1]
	if b0&0xf0 != 0x80 || b1&0x80 != 0 {
		return 0, nil, fmt.Errorf("unexpected frame header %#x %#x", b0, b1)
	}
	head, n := 2, int(b1)
	switch b1 {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if head > 2 {
		if err := c.fill(head); err != nil {
			return 0, nil, err
		}
		if head == 4 {
			n = int(binary.BigEndian.Uint16(c.buf[c.r+2:]))
		} else {
			n = int(min(binary.BigEndian.Uint64(c.buf[c.r+2:]), 1<<30))
		}
	}
	if n > 8<<20 {
		return 0, nil, fmt.Errorf("frame of %d bytes", n)
	}
	if err := c.fill(head + n); err != nil {
		return 0, nil, err
	}
	payload := c.buf[c.r+head : c.r+head+n]
	c.r += head + n
	return ws.OpCode(b0 & 0x0f), payload, nil
}

// fill reads until at least n unread bytes are buffered.
func (c *conn) fill(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	c.grow(n)
	for c.w < n {
		m, err := c.Conn.Read(c.buf[c.w:])
		c.w += m
		if err != nil && c.w < n {
			return err
		}
	}
	return nil
}

func (c *conn) grow(n int) {
	if n > len(c.buf) {
		bigger := make([]byte, max(n, 2*len(c.buf)))
		copy(bigger, c.buf[:c.w])
		c.buf = bigger
	}
}

// emit sends one event; args is a JSON array.
func (c *conn) emit(args string) error {
	_, err := c.Write(textFrame("42" + args))
	return err
}

// call emits an event with an ack id, waits for the ack and returns its argument list. It drops the packets in between, so it is only
// for set-up.
func (c *conn) call(args string) ([]byte, error) {
	const id = "900000"
	if _, err := c.Write(textFrame("42" + id + args)); err != nil {
		return nil, err
	}
	for {
		p, err := c.next()
		if err != nil {
			return nil, err
		}
		if rest, ok := bytes.CutPrefix(p, []byte("43"+id)); ok {
			return rest, nil
		}
	}
}

// leave closes the websocket as a browser does and waits at most a second for the server to close the connection.
func (c *conn) leave() error {
	defer c.Close()
	if _, err := c.Write(closeFrame); err != nil {
		return err
	}
	if err := c.SetReadDeadline(earlier(time.Now().Add(time.Second), c.left)); err != nil {
		return err
	}
	for {
		op, _, err := c.frame()
		if op == ws.OpClose || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var closeFrame = ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(nil)))

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// hold opens n connections, t.parallel at a time. On an error it closes those that are open.
func (t *target) hold(ctx context.Context, n int) ([]*conn, error) {
	if n > maxConnections {
		return nil, fmt.Errorf("%d connections: at most %d", n, maxConnections)
	}
	conns := make([]*conn, n)
	err := t.each(n, func(i int) (err error) {
		if err = ctx.Err(); err == nil {
			conns[i], err = t.connect(ctx, i)
		}
		return err
	})
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	return conns, nil
}

// each calls f for 0 ≤ i < n from t.parallel goroutines. After the first error, which it returns, it starts no new call.
func (t *target) each(n int, f func(i int) error) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	for range min(t.parallel, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				over := first != nil || i >= n
				mu.Unlock()
				if over {
					return
				}
				if err := f(i); err != nil {
					mu.Lock()
					if first == nil {
						first = fmt.Errorf("connection %d: %w", i, err)
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

// ackID splits an ack packet of the default namespace (`43`, id, JSON array).
func ackID(p []byte) (id int, rest []byte, ok bool) {
	p, ok = bytes.CutPrefix(p, []byte("43"))
	for len(p) > 0 && p[0] >= '0' && p[0] <= '9' && id < 1<<30 {
		id, p = 10*id+int(p[0]-'0'), p[1:]
	}
	return id, p, ok
}

// emitAck emits an event that requests an ack.
func (c *conn) emitAck(id int, args string) error {
	_, err := c.Write(textFrame(fmt.Sprintf("42%d%s", id, args)))
	return err
}

// collect reads numbered events until it has n or receives none for three seconds.
func (c *conn) collect(n int, number func([]byte) (int, bool)) (side burstSide, err error) {
	for side.received < n {
		if err := c.SetReadDeadline(earlier(time.Now().Add(3*time.Second), c.left)); err != nil {
			return side, err
		}
		p, err := c.next()
		if err != nil {
			return side, nil // missing events are counted in Lost
		}
		if i, ok := number(p); !ok || i != side.received {
			side.Misplaced++
		}
		side.received++
	}
	return side, nil
}
