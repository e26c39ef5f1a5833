package durability

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/server/media/mediatest"
)

// stranger is an attacker with its own source address.
type stranger struct {
	host   *raw.Host
	dialer net.Dialer
	client *http.Client
	thread string // a thread with long messages
	bombs  []upload
}

type upload struct {
	path, kind string
	body       []byte
}

func newStranger(addr, from string) *stranger {
	s := &stranger{host: &raw.Host{Addr: addr, Path: "/socket.io/"}}
	s.dialer = net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	s.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: s.dialer.DialContext, DisableKeepAlives: true}}
	return s
}

func (s *stranger) websocket() (*raw.Websocket, error) {
	dialer := ws.Dialer{NetDial: s.dialer.DialContext}
	w, err := s.host.Upgrade("EIO=4&transport=websocket", dialer)
	if err != nil {
		return nil, err
	}
	return w, w.SetDeadline(time.Now().Add(10 * time.Second))
}

// do sends a request and returns the response body, or an error for a status other than 200.
func (s *stranger) do(ctx context.Context, method, path, kind string, body []byte) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.host.Addr+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", kind)
	res, err := s.client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d", method, path, res.StatusCode)
	}
	return string(answer), err
}

// prepare creates a thread with long messages, so that its history is large.
func (s *stranger) prepare() error {
	v := &visitor{}
	var err error
	if v.socket, err = s.websocket(); err != nil {
		return err
	}
	defer v.socket.Close()
	if _, err = v.socket.Write(raw.Text("40")); err != nil {
		return err
	}
	a, err := v.ask("join", map[string]string{"display_name": "Eve"})
	if err != nil || !a.OK {
		return errors.Join(err, fmt.Errorf("join: %+v", a))
	}
	s.thread = a.ThreadID
	for n := range 14 { // as many as one visitor may store at once
		if _, err := v.ask("message", map[string]any{"thread_id": s.thread, "text": strings.Repeat("ğ", 10_000), "client_id": fmt.Sprint(n)}); err != nil {
			return err
		}
	}
	return nil
}

// unreadHistories opens a polling session that requests a large history repeatedly and never reads the responses.
func unreadHistories(ctx context.Context, s *stranger) error {
	text, err := s.do(ctx, "GET", s.host.Path+"?EIO=4&transport=polling", "", nil)
	var open raw.Open
	if err != nil || json.Unmarshal([]byte(text[1:]), &open) != nil {
		return errors.Join(err, errors.New("no session"))
	}
	path := s.host.Path + "?EIO=4&transport=polling&sid=" + open.SID
	history := fmt.Sprintf(`420["history",{"thread_id":%q,"limit":100}]`, s.thread)
	packets := []string{"40", fmt.Sprintf(`42["rejoin",{"thread_id":%q}]`, s.thread)}
	for range 20 {
		packets = append(packets, history)
	}
	if _, err := s.do(ctx, "POST", path, "text/plain", []byte(strings.Join(packets, "\x1e"))); err != nil {
		return err
	}
	conn, err := s.dialer.DialContext(ctx, "tcp", s.host.Addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() }) // keep it open until the end
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	return err
}

// unfinishedFrames sends large frames without their last byte, before or after joining the namespace.
func unfinishedFrames(ctx context.Context, s *stranger) error {
	w, err := s.websocket()
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = w.Close() })
	if rand.N(2) == 0 {
		if _, err := w.Write(raw.Text("40")); err != nil {
			return err
		}
		pause(ctx, 10*time.Millisecond) // for the answer to arrive
	}
	frame := raw.Text(`42["message",{"text":"` + strings.Repeat("x", 950_000) + `"}]`)
	_, err = w.Write(frame[:len(frame)-1])
	return err
}

// flood sends packets over one websocket until it is closed.
func flood(ctx context.Context, s *stranger, packets string) error {
	w, err := s.websocket()
	if err != nil {
		return err
	}
	defer w.Close()
	defer context.AfterFunc(ctx, func() { _ = w.Close() })()
	for ctx.Err() == nil {
		if _, err := w.Write([]byte(packets)); err != nil {
			return nil //nolint:nilerr // the server must close the connection
		}
	}
	return nil
}

func joinAndLeave(ctx context.Context, s *stranger) error {
	return flood(ctx, s, strings.Repeat(string(raw.Texts("40", "41")), 20))
}

func unknownEvents(ctx context.Context, s *stranger) error {
	if rand.N(2) == 0 {
		return flood(ctx, s, string(raw.Text("40"))+strings.Repeat(string(raw.Text("6")), 500))
	}
	return flood(ctx, s, string(raw.Text("40"))+strings.Repeat(string(raw.Text(`42["unknown",{}]`)), 500))
}

// bombUploads returns upload requests of [mediatest.Bombs].
func bombUploads(t *testing.T) (all []upload) {
	t.Helper()
	for name, content := range mediatest.Bombs(t) {
		folder, _, _ := strings.Cut(name, ":")
		body, kind := form(t, "a", content)
		all = append(all, upload{"/api/upload/" + folder, kind, body})
	}
	return all
}

// uploadBombs uploads small files that decode to large ones.
func uploadBombs(ctx context.Context, s *stranger) error {
	bomb := s.bombs[rand.N(len(s.bombs))]
	if _, err := s.do(ctx, "POST", bomb.path, bomb.kind, bomb.body); ctx.Err() != nil {
		return err
	}
	return nil // it is expected to be refused
}

// connectionsWithoutRequest starts requests and never ends their headers.
func connectionsWithoutRequest(ctx context.Context, s *stranger) error {
	for range 20 {
		conn, err := s.dialer.DialContext(ctx, "tcp", s.host.Addr)
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s", strings.Repeat("x", 10_000)); err != nil {
			return err
		}
	}
	return nil
}
