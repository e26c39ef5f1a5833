package telegramtest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Fault is a failure of Telegram or of the network that a test injects. Set either Status or Cut, or Delay alone.
type Fault struct {
	Method     string        `json:"method"`      // the method that fails; empty = any
	Text       string        `json:"text"`        // only calls whose text or caption contains it; empty = any
	Status     int           `json:"status"`      // HTTP status of the response: 400, 429, 500, 502, …
	About      string        `json:"about"`       // the error's description, with Status; empty = the status text
	Page       bool          `json:"page"`        // the response is an HTML page, as from a proxy
	RetryAfter int           `json:"retry_after"` // seconds, with 429
	Cut        bool          `json:"cut"`         // close the connection without a response
	Performed  bool          `json:"performed"`   // run the method nevertheless, before Delay
	Delay      time.Duration `json:"delay"`       // before the response; ends early when the server closes
	Times      int           `json:"times"`       // how many calls fail; 0 = one, negative = until Calm
}

// Rates holds the probability of each fault for a call, from 0 to 1. Calls that fail this way are not performed.
type Rates struct {
	Methods                 []string // empty = every method
	TooMany, Internal, Cuts float64
	RetryAfter              int // seconds, for TooMany
}

// flood is the period during which a 429 response forbids further calls.
type flood struct{ since, until time.Time }

// floodGrace is how long after a 429 a call is not reported, because it may have been sent before the response arrived.
const floodGrace = 200 * time.Millisecond

func (f *Fault) stops() bool { return f.Cut || f.Status != 0 }

func (f *Fault) String() string {
	switch {
	case f.Cut:
		return "cut"
	case f.Status != 0:
		return fmt.Sprint(f.Status)
	}
	return "slow"
}

// Script makes the next calls fail, in the given order for each method.
func (s *Server) Script(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		s.faults = append(s.faults, &f)
	}
}

// Faults returns how many scripted faults have not been used yet.
func (s *Server) Faults() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.faults)
}

// RandomFaults makes calls fail at random from now on; the same seed gives the same sequence of faults.
func (s *Server) RandomFaults(seed uint64, r Rates) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random, s.rates = rand.New(rand.NewPCG(seed, seed)), r
}

// NoFaults removes every fault.
func (s *Server) NoFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.random, s.down = nil, nil, false
}

// Forget drops every retry_after that was sent: a client that was killed has lost it.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.floods)
}

// SetDown makes Telegram unreachable, closing every connection without a response, or reachable again.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	if down && s.poller != nil {
		close(s.poller)
		s.poller = nil
	}
	s.touch()
}

// nextFault returns the fault for this call, nil if there is none.
func (s *Server) nextFault(c *Call) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return &Fault{Cut: true}
	}
	for i, f := range s.faults {
		if f.Method != "" && !strings.EqualFold(f.Method, c.Method) || f.Text != "" && !strings.Contains(c.Params["text"]+c.Params["caption"], f.Text) {
			continue
		}
		if f.Times--; f.Times == 0 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		s.touch()
		return f
	}
	if s.random == nil || (len(s.rates.Methods) > 0 && !contains(s.rates.Methods, c.Method)) {
		return nil
	}
	r := s.rates
	switch roll := s.random.Float64(); {
	case roll < r.TooMany:
		return &Fault{Status: http.StatusTooManyRequests, RetryAfter: r.RetryAfter}
	case roll < r.TooMany+r.Internal:
		return &Fault{Status: []int{500, 502, 503, 504}[s.random.IntN(4)]}
	case roll < r.TooMany+r.Internal+r.Cuts:
		return &Fault{Cut: true}
	}
	return nil
}

// pause waits for d. It returns false if the client has disconnected.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing:
	case <-ctx.Done():
		return false
	}
	return true
}

// applyFault responds to a call with a fault. Gateway errors are HTML pages, as on the real service.
func (s *Server) applyFault(w http.ResponseWriter, c *Call, f *Fault) {
	if f.Cut {
		s.mu.Lock()
		s.note(c)
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	switch {
	case f.Status == http.StatusTooManyRequests && !f.Page:
		seconds := max(f.RetryAfter, 1)
		s.mu.Lock()
		no := s.flood(c, time.Duration(seconds)*time.Second)
		s.mu.Unlock()
		s.finish(w, c, nil, no)
	case f.Page, f.Status == http.StatusBadGateway, f.Status == http.StatusServiceUnavailable, f.Status == http.StatusGatewayTimeout:
		c.Status = f.Status
		s.mu.Lock()
		s.note(c)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprintf(w, "<html>\r\n<head><title>%d %s</title></head>\r\n<body></body>\r\n</html>\r\n", f.Status, http.StatusText(f.Status)) // see finish
	default:
		text := f.About
		if text == "" {
			text = http.StatusText(f.Status)
		}
		s.finish(w, c, nil, &refusal{code: f.Status, text: text, faulty: true})
	}
}

// flood returns a 429 and records it for the call's chat. s.mu must be held.
func (s *Server) flood(c *Call, d time.Duration) *refusal {
	if id, no := c.number("chat_id"); no == nil && id != 0 {
		now := time.Now()
		s.floods[id] = flood{since: now, until: now.Add(d)}
	}
	return tooMany(d)
}

func tooMany(d time.Duration) *refusal {
	seconds := max(int(math.Ceil(d.Seconds())), 1)
	return &refusal{code: http.StatusTooManyRequests, text: fmt.Sprintf("Too Many Requests: retry after %d", seconds), retry: seconds, faulty: true}
}

// flooded refuses a call that comes before the retry_after of an earlier 429 has elapsed, and reports it. It also refuses calls beyond
// Options.PerMinute; calls on topics count, because each creates a service message in the chat. s.mu must be held.
func (s *Server) flooded(c *Call) *refusal {
	id, no := c.number("chat_id")
	sends := strings.HasPrefix(c.Method, "send") && c.Method != "sendChatAction"
	if no != nil || !sends && !strings.HasSuffix(c.Method, "ForumTopic") {
		return nil
	}
	if f, ok := s.floods[id]; ok {
		left := time.Until(f.until)
		if left <= 0 {
			delete(s.floods, id)
		} else {
			if c.At.Sub(f.since) > floodGrace {
				s.complain(c.Method, fmt.Sprintf("sent again %v before the retry_after of the last 429 had elapsed", left.Round(time.Millisecond)))
			}
			return tooMany(left)
		}
	}
	if s.opts.PerMinute > 0 && id == s.opts.Chat.ID {
		minute := s.opts.Minute
		if minute == 0 {
			minute = time.Minute
		}
		for len(s.minutes) > 0 && time.Since(s.minutes[0]) > minute {
			s.minutes = s.minutes[1:]
		}
		if len(s.minutes) >= s.opts.PerMinute {
			return s.flood(c, minute-time.Since(s.minutes[0]))
		}
		s.minutes = append(s.minutes, time.Now())
	}
	return nil
}
