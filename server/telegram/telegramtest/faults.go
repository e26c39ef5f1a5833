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

// Fault is something that goes wrong on Telegram's side or on the way. One of Status and Cut, or a Delay alone.
type Fault struct {
	Method     string        `json:"method"`      // the method that it befalls; empty = any
	Text       string        `json:"text"`        // only calls whose text or caption holds it; empty = any
	Status     int           `json:"status"`      // answered instead: 400, 429, 500, 502, …
	About      string        `json:"about"`       // the error's description, with Status; empty = the status' own words
	Page       bool          `json:"page"`        // the answer is a page of HTML, as of something in between
	RetryAfter int           `json:"retry_after"` // seconds, with 429
	Cut        bool          `json:"cut"`         // the connection ends without an answer
	Performed  bool          `json:"performed"`   // the call is done all the same, at once
	Delay      time.Duration `json:"delay"`       // before the answer; ends early when the server closes
	Times      int           `json:"times"`       // how often; 0 = once, negative = until Calm
}

// Rates says how likely each fault is for a call, each between 0 and 1. None of these calls is performed.
type Rates struct {
	Methods                 []string // empty = every method
	TooMany, Internal, Cuts float64
	RetryAfter              int // seconds, for TooMany
}

// flood is a 429 that was answered, and how long it holds.
type flood struct{ since, until time.Time }

// floodGrace is for calls that were on their way when the 429 was.
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

// Script lets the next calls fail, in this order for each method.
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

// Faults is how many scripted faults have not happened yet.
func (s *Server) Faults() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.faults)
}

// Weather lets calls fail at random from now on; the same seed gives the same order of faults.
func (s *Server) Weather(seed uint64, r Rates) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random, s.rates = rand.New(rand.NewPCG(seed, seed)), r
}

// Calm ends every fault.
func (s *Server) Calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.random, s.down = nil, nil, false
}

// Forget drops every retry_after that was told: a program that was killed cannot know of it.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.floods)
}

// SetDown ends every connection without an answer, as a network does behind which Telegram is unreachable, or stops doing so.
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

// nextFault is what befalls this call.
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

// pause waits; false means that the client has gone.
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

// stumble is the answer to a call that meets a fault. Errors of a gateway are pages of HTML, as in the field.
func (s *Server) stumble(w http.ResponseWriter, c *Call, f *Fault) {
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

// flood answers 429 and remembers it for the chat; the lock is held.
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

// flooded refuses what comes before a told retry_after has passed, and reports it; and what is more than a chat takes in a
// minute: topics count, as each change of one is a message in the chat. The lock is held.
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
				s.complain(c.Method, fmt.Sprintf("sent again %v before the retry_after that was told had passed", left.Round(time.Millisecond)))
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
