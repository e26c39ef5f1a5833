package raw

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// Websocket is a websocket connection.
type Websocket struct {
	net.Conn
	Host  *Host
	Open  Open // the open packet, if the websocket started a session
	Pings bool // Next returns pings instead of answering them

	reader *bufio.Reader
}

// ErrClosed is the error of reading a websocket after the peer's close frame. Code is 0 if the connection ended without one.
type ErrClosed struct {
	Code   ws.StatusCode
	Reason string
	Cause  error
}

func (e *ErrClosed) Error() string {
	return fmt.Sprintf("websocket closed with %d %q (%v)", e.Code, e.Reason, e.Cause)
}

// Upgrade opens a websocket with a query string and reads no packet.
func (h *Host) Upgrade(query string, dialer ws.Dialer) (*Websocket, error) {
	dialer.Timeout = Patience
	if dialer.Header == nil && h.Header != nil {
		dialer.Header = ws.HandshakeHeaderHTTP(h.Header)
	}
	conn, br, _, err := dialer.Dial(context.Background(), "ws://"+h.Addr+h.Path+"?"+query)
	if err != nil {
		return nil, err
	}
	if br == nil {
		br = bufio.NewReader(conn)
	}
	return &Websocket{Conn: conn, Host: h, reader: br}, nil
}

// DialWebsocket opens a session over a websocket and reads its open packet.
func (h *Host) DialWebsocket() (*Websocket, error) {
	w, err := h.Upgrade("EIO=4&transport=websocket", ws.Dialer{})
	if err != nil {
		return nil, err
	}
	if err := w.open(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *Websocket) open() error {
	_, packet, err := w.Frame()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(packet, "0") {
		return fmt.Errorf("expected the open packet, got %q", packet)
	}
	return json.Unmarshal([]byte(packet[1:]), &w.Open)
}

// Websocket is like DialWebsocket, for the test's goroutine. It closes the websocket when the test ends.
func (h *Host) Websocket() *Websocket {
	h.T.Helper()
	w, err := h.DialWebsocket()
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { w.Close() })
	return w
}

// Plain is like Upgrade, for the test's goroutine.
func (h *Host) Plain(query string) *Websocket {
	h.T.Helper()
	w, err := h.Upgrade(query, ws.Dialer{})
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { w.Close() })
	return w
}

// Text returns a masked text frame.
func Text(payload string) []byte { return Frame(ws.NewTextFrame([]byte(payload))) }

// Binary returns a masked binary frame.
func Binary(payload string) []byte { return Frame(ws.NewBinaryFrame([]byte(payload))) }

// Frame returns a frame masked, as a client sends it, and encoded.
func Frame(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }

// Texts returns the concatenation of masked text frames.
func Texts(payloads ...string) []byte {
	var out []byte
	for _, p := range payloads {
		out = append(out, Text(p)...)
	}
	return out
}

// Write writes p unframed.
func (w *Websocket) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(Patience)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// Send writes text frames with a single write, from the test's goroutine.
func (w *Websocket) Send(payloads ...string) { w.Host.T.Helper(); w.SendRaw(Texts(payloads...)) }

// SendRaw writes p unframed, from the test's goroutine.
func (w *Websocket) SendRaw(p []byte) {
	w.Host.T.Helper()
	if _, err := w.Write(p); err != nil {
		w.Host.T.Fatal(err)
	}
}

// Frame reads one frame of any type and returns its opcode and payload.
func (w *Websocket) Frame() (ws.OpCode, string, error) {
	f, err := w.Whole()
	return f.Header.OpCode, string(f.Payload), err
}

// Whole reads one frame of any type, with its header.
func (w *Websocket) Whole() (ws.Frame, error) {
	if err := w.SetReadDeadline(time.Now().Add(Patience)); err != nil {
		return ws.Frame{}, err
	}
	h, err := ws.ReadHeader(w.reader)
	if err != nil {
		return ws.Frame{}, &ErrClosed{Cause: err}
	}
	if h.Masked || h.Length > 64<<20 {
		return ws.Frame{}, fmt.Errorf("unexpected frame header %+v", h)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(w.reader, payload); err != nil {
		return ws.Frame{}, &ErrClosed{Cause: err}
	}
	if h.OpCode == ws.OpClose {
		code, reason := ws.ParseCloseFrameData(payload)
		return ws.Frame{}, &ErrClosed{Code: code, Reason: reason}
	}
	return ws.Frame{Header: h, Payload: payload}, nil
}

// Next reads the next text or binary message. It answers Engine.IO pings, unless w.Pings is set.
func (w *Websocket) Next() (string, error) {
	for {
		op, payload, err := w.Frame()
		switch {
		case err != nil:
			return "", err
		case op.IsControl():
		case payload == "2" && op == ws.OpText && !w.Pings:
			if _, err := w.Write(Text("3")); err != nil {
				return "", err
			}
		default:
			return payload, nil
		}
	}
}

// Message is like Next, for the test's goroutine.
func (w *Websocket) Message() string {
	w.Host.T.Helper()
	m, err := w.Next()
	if err != nil {
		w.Host.T.Fatal(err)
	}
	return m
}

// Expect fails the test unless the next messages are these.
func (w *Websocket) Expect(messages ...string) {
	w.Host.T.Helper()
	for _, want := range messages {
		if got := w.Message(); got != want {
			w.Host.T.Fatalf("got %.200q, want %.200q", got, want)
		}
	}
}

// Closed reads until the peer closes the websocket and returns the reason. It drops messages.
func (w *Websocket) Closed() *ErrClosed {
	w.Host.T.Helper()
	for start := time.Now(); ; {
		_, err := w.Next()
		if err == nil && time.Since(start) > Patience { // answered heartbeats could keep it open forever
			w.Host.T.Fatal("the websocket is still open")
		}
		var closed *ErrClosed
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout(), errors.As(err, &closed) && errors.As(closed.Cause, &timeout) && timeout.Timeout():
			w.Host.T.Fatal("the websocket is still open")
		case errors.As(err, &closed):
			return closed
		case err != nil: // the answer to a ping could not be written
			return &ErrClosed{Cause: err}
		}
	}
}

// ClosedWith fails the test unless the peer closes the websocket with one of these codes.
func (w *Websocket) ClosedWith(codes ...ws.StatusCode) {
	w.Host.T.Helper()
	got := w.Closed()
	for _, code := range codes {
		if got.Code == code {
			return
		}
	}
	w.Host.T.Errorf("%v; want %v", got, codes)
}

// DialSocket opens a Socket.IO session over a websocket and joins the default namespace.
func (h *Host) DialSocket() (*Websocket, error) {
	w, err := h.DialWebsocket()
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(Text("40")); err == nil {
		var answer string
		if answer, err = w.Next(); err == nil && !strings.HasPrefix(answer, `40{"sid":"`) {
			err = fmt.Errorf("CONNECT answered %q", answer)
		}
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Socket is like DialSocket, for the test's goroutine.
func (h *Host) Socket() *Websocket {
	h.T.Helper()
	w, err := h.DialSocket()
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { w.Close() })
	return w
}

// SendAlong returns a function for [ws.Dialer].WrapConn that appends data to the first write, the handshake request.
func SendAlong(data []byte) func(net.Conn) net.Conn {
	return func(c net.Conn) net.Conn { return &alongConn{Conn: c, data: data} }
}

type alongConn struct {
	net.Conn
	data []byte
}

func (c *alongConn) Write(p []byte) (int, error) {
	if c.data == nil {
		return c.Conn.Write(p)
	}
	_, err := c.Conn.Write(append(append([]byte{}, p...), c.data...))
	c.data = nil
	return len(p), err
}

// Try is like Plain, for any goroutine.
func (h *Host) Try(query string) (*Websocket, error) { return h.Upgrade(query, ws.Dialer{}) }
