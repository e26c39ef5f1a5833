package raw

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Open is the content of Engine.IO's open packet.
type Open struct {
	SID          string
	Upgrades     []string
	PingInterval int
	PingTimeout  int
	MaxPayload   int
}

// Polling is an Engine.IO session over HTTP long-polling.
type Polling struct {
	Host *Host
	Open Open
}

// DialPolling opens a polling session.
func (h *Host) DialPolling() (*Polling, error) {
	a, err := h.Request(context.Background(), http.MethodGet, "EIO=4&transport=polling", nil)
	if err != nil {
		return nil, err
	}
	p := &Polling{Host: h}
	if a.Status != http.StatusOK || !strings.HasPrefix(a.Body, "0") {
		return nil, fmt.Errorf("handshake answered %v", a)
	}
	return p, json.Unmarshal([]byte(a.Body[1:]), &p.Open)
}

// Polling is like DialPolling, for the test's goroutine.
func (h *Host) Polling() *Polling {
	h.T.Helper()
	p, err := h.DialPolling()
	if err != nil {
		h.T.Fatal(err)
	}
	return p
}

// Query returns the query string of the session's requests.
func (p *Polling) Query() string { return "EIO=4&transport=polling&sid=" + p.Open.SID }

// Poll sends a GET request.
func (p *Polling) Poll(ctx context.Context) (Answer, error) {
	return p.Host.Request(ctx, http.MethodGet, p.Query(), nil)
}

// Push sends a POST request.
func (p *Polling) Push(body string) (Answer, error) {
	return p.Host.Request(context.Background(), http.MethodPost, p.Query(), strings.NewReader(body))
}

// Get is like Poll, for the test's goroutine.
func (p *Polling) Get() Answer {
	p.Host.T.Helper()
	return p.Host.Do(http.MethodGet, p.Query(), "")
}

// Post is like Push, for the test's goroutine.
func (p *Polling) Post(body string) Answer {
	p.Host.T.Helper()
	return p.Host.Do(http.MethodPost, p.Query(), body)
}

// Later sends a GET request in the background and returns a channel for the response, which has status 0 after an error.
func (p *Polling) Later(ctx context.Context) <-chan Answer {
	ch := make(chan Answer, 1)
	go func() {
		a, err := p.Poll(ctx)
		if err != nil {
			a = Answer{Body: err.Error()}
		}
		ch <- a
	}()
	return ch
}

// Packets polls until a response has packets other than ping and noop, and answers pings meanwhile.
func (p *Polling) Packets(ctx context.Context) ([]string, error) {
	for {
		a, err := p.Poll(ctx)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusOK {
			return nil, fmt.Errorf("poll answered %v", a)
		}
		var packets []string
		for _, packet := range strings.Split(a.Body, "\x1e") {
			switch packet {
			case "2":
				if a, err := p.Push("3"); err != nil || !a.Is("ok") {
					return nil, errors.Join(fmt.Errorf("pong answered %v", a), err)
				}
			case "6":
			default:
				packets = append(packets, packet)
			}
		}
		if len(packets) > 0 {
			return packets, nil
		}
	}
}
