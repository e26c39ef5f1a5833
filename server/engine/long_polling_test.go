package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/bench/conformance/raw"
	"sohbet/bench/conformance/suite"
	"sohbet/server/engine"
)

func isOver(t *testing.T, p *raw.Polling) {
	t.Helper()
	if a := p.Get(); a.Status != http.StatusBadRequest {
		t.Errorf("GET of a session that is over: %v", a)
	}
	if a := p.Post("4x"); a.Status != http.StatusBadRequest {
		t.Errorf("POST to a session that is over: %v", a)
	}
}

func TestPollingMessages(t *testing.T) {
	host := conform(t)
	for name, body := range map[string]string{
		"text":       "4hello",
		"empty":      "4",
		"unicode":    "4günaydın 🙂 \u2028",
		"binary":     "bAQIDBA==",
		"no bytes":   "b",
		"several":    "4test1\x1e4test2\x1e4test3",
		"mixed":      "4a\x1ebAQIDBA==\x1e4b\x1ebBQ==",
		"like a ctl": "41\x1e42\x1e46",
	} {
		p := host.Polling()
		a := p.Post(body)
		if !a.Is("ok") {
			t.Errorf("%s: POST answered %v", name, a)
		}
		if a := p.Get(); !a.Is(body) {
			t.Errorf("%s: GET answered %v, want %q", name, a, body)
		}
	}
}

// A waiting GET is answered as soon as there is a packet.
func TestPollingWaits(t *testing.T) {
	p := conform(t).Polling()
	waiting := p.Later(context.Background())
	p.Post("4x")
	if a := raw.Take(t, waiting, "GET"); !a.Is("4x") {
		t.Error(a)
	}
}

func TestPollingHeartbeat(t *testing.T) {
	host := ticking(t)
	start := time.Now()
	p := host.Polling()
	for range 3 {
		if a := p.Get(); !a.Is("2") {
			t.Fatalf("GET answered %v, want a ping", a)
		}
		if a := p.Post("3"); !a.Is("ok") {
			t.Fatalf("pong answered %v", a)
		}
	}
	if took := time.Since(start); took < 3*suite.PingInterval {
		t.Errorf("three pings within %v", took)
	}
}

func TestPollingWithoutPong(t *testing.T) {
	host := brisk(t)
	p := host.Polling()
	start := time.Now()
	if a := p.Get(); !a.Is("2") {
		t.Fatalf("GET answered %v, want a ping", a)
	}
	if a := p.Get(); a.Status != http.StatusBadRequest {
		t.Fatalf("GET answered %v", a)
	}
	if took := time.Since(start); took < suite.PingInterval+suite.PingTimeout-20*time.Millisecond {
		t.Errorf("over after %v", took)
	}
	isOver(t, p)
}

// An unexpected pong has no effect.
func TestUnaskedPong(t *testing.T) {
	p := ticking(t).Polling()
	if a := p.Post("3\x1e4x"); !a.Is("ok") {
		t.Fatal(a)
	}
	got := ""
	for !strings.HasSuffix(got, "2") {
		got += p.Get().Body
	}
	if got != "4x2" && got != "4x\x1e2" {
		t.Errorf("got %q", got)
	}
}

func TestPollingClose(t *testing.T) {
	host := conform(t)
	for wait := 50 * time.Millisecond; ; wait *= 4 {
		p := host.Polling()
		waiting := p.Later(context.Background())
		time.Sleep(wait)
		if a := p.Post("1"); !a.Is("ok") {
			t.Errorf("POST answered %v", a)
		}
		a := raw.Take(t, waiting, "the waiting GET")
		if a.Status == http.StatusBadRequest && wait < 3*time.Second {
			continue // a busy machine: the POST came first
		}
		if !a.Is("6") {
			t.Errorf("the waiting GET got %v", a)
		}
		isOver(t, p)
		return
	}
}

func TestPollingMalformed(t *testing.T) {
	host := conform(t)
	bystander := host.Polling()
	for name, body := range map[string]string{
		"unknown type":       "abc",
		"nothing":            "",
		"empty packet":       "4a\x1e",
		"empty packet first": "\x1e4a",
		"type 7":             "7",
		"bad base64":         "b!!!",
		"short base64":       "bAQI",
		"invalid UTF-8":      "4a\xffb",
		"overlong UTF-8":     "4\xc0\x80",
		"surrogate":          "4\xed\xa0\x80",
		"good, then bad":     "4good\x1eabc",
	} {
		p := host.Polling()
		waiting := p.Later(context.Background())
		time.Sleep(20 * time.Millisecond)
		if a := p.Post(body); a.Status != http.StatusBadRequest {
			t.Errorf("%s: POST answered %v", name, a)
		}
		// A GET that was waiting gets a close packet; no packet of the payload was handled.
		if a := raw.Take(t, waiting, "the waiting GET"); !a.Is("1") && a.Status != http.StatusBadRequest {
			t.Errorf("%s: waiting GET got %v", name, a)
		}
		isOver(t, p)
		p = host.Polling()
		p.Post(body)
		isOver(t, p)
		if a := bystander.Post("4mark"); !a.Is("ok") {
			t.Errorf("bystander: %v", a)
		}
		if a := bystander.Get(); !a.Is("4mark") {
			t.Errorf("bystander: %v", a)
		}
	}
}

// Packets that only a server may send end the session like malformed ones, but are well-formed: the POST is answered.
func TestPollingWrongDirection(t *testing.T) {
	_, host := serve(t, engine.Options{}, echo)
	for _, body := range []string{"0{}", "2"} {
		p := host.Polling()
		p.Post(body)
		if a := p.Get(); !a.Is("1") && a.Status != http.StatusBadRequest {
			t.Errorf("%q: GET answered %v", body, a)
		}
		isOver(t, p)
	}
}

func TestSecondGet(t *testing.T) {
	p := conform(t).Polling()
	ctx := context.Background()
	answers := []<-chan raw.Answer{p.Later(ctx), p.Later(ctx)}
	a, b := raw.Take(t, answers[0], "a GET"), raw.Take(t, answers[1], "a GET")
	if a.Status != http.StatusOK { // either may have come first
		a, b = b, a
	}
	if !a.Is("1") || b.Status != http.StatusBadRequest {
		t.Errorf("got %v and %v", a, b)
	}
	isOver(t, p)
}

// flushes reports each flush on made, and blocks in it until goOn.
type flushes struct {
	http.ResponseWriter
	made, goOn chan struct{}
}

func (f flushes) FlushError() error {
	err := http.NewResponseController(f.ResponseWriter).Flush()
	f.made <- struct{}{}
	<-f.goOn
	return err
}

// A client may receive a response before the server's write returns, and its next GET may be answered by then.
func TestAnswersOverlap(t *testing.T) {
	s, _ := serve(t, engine.Options{}, echo)
	made, goOn := make(chan struct{}, 8), make(chan struct{}, 8)
	host := raw.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(flushes{w, made, goOn}, r)
	}), "/")
	allow := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(allow)
	p := host.Polling()
	get := func() <-chan raw.Answer { // on a separate connection, so that later requests do not wait for it
		answer := make(chan raw.Answer, 1)
		go func() {
			a, err := host.Request(context.Background(), http.MethodGet, p.Query(), nil, "Connection", "close")
			if err != nil {
				a = raw.Answer{Body: err.Error()}
			}
			answer <- a
		}()
		return answer
	}
	p.Post("4first")
	first := get()
	raw.Take(t, made, "the first answer")
	p.Post("4second")
	second := get()
	raw.Take(t, made, "the second answer")
	allow()
	if a := raw.Take(t, first, "the first GET"); !a.Is("4first") {
		t.Errorf("got %v", a)
	}
	if a := raw.Take(t, second, "the second GET"); !a.Is("4second") {
		t.Errorf("got %v", a)
	}
	p.Post("4third")
	if a := p.Get(); !a.Is("4third") {
		t.Errorf("got %v", a)
	}
}

func TestAbortedGet(t *testing.T) {
	s, host := serve(t, engine.Options{}, nil)
	p := host.Polling()
	ctx, cancel := context.WithCancel(context.Background())
	waiting := p.Later(ctx)
	time.Sleep(50 * time.Millisecond)
	cancel()
	raw.Take(t, waiting, "the aborted GET")
	raw.Until(t, "the session is over", func() bool { return s.Stats().Open == 0 })
	isOver(t, p)
}

// A message may have the announced maximum size, and no more, whether its length is declared or chunked.
func TestPostSize(t *testing.T) {
	s, host := serve(t, engine.Options{MaxPayload: 100_000}, echo)
	bystander := host.Polling()
	p := host.Polling()
	if p.Open.MaxPayload != 100_000 {
		t.Errorf("maxPayload %d", p.Open.MaxPayload)
	}
	full := "4" + strings.Repeat("x", 99_999)
	if a := p.Post(full); !a.Is("ok") {
		t.Fatalf("full size: %v", a)
	}
	if a := p.Get(); !a.Is(full) {
		t.Errorf("full size: got back %d bytes", len(a.Body))
	}
	for _, declared := range []bool{true, false} {
		p := host.Polling()
		var body io.Reader = strings.NewReader(full + "y")
		if !declared {
			body = io.MultiReader(body) // hides the length: chunked
		}
		a, err := host.Request(context.Background(), "POST", p.Query(), body)
		if err != nil || a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("declared %v: %v %v", declared, a, err)
		}
		if a := p.Get(); !a.Is("1") {
			t.Errorf("GET after it: %v", a)
		}
		isOver(t, p)
	}
	if a := bystander.Post("4x"); !a.Is("ok") {
		t.Errorf("bystander: %v", a)
	}
	raw.Until(t, "two are left", func() bool { return s.Stats().Open == 2 })
}

// A body that arrives too slowly ends its session, and blocks no other.
func TestSlowBody(t *testing.T) {
	s, host := serve(t, engine.Options{BodyTimeout: 300 * time.Millisecond}, echo)
	bystander := host.Polling()
	for _, lengthLine := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		p := host.Polling()
		conn, err := net.Dial("tcp", host.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(raw.Patience))
		fmt.Fprintf(conn, "POST /?%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", p.Query(), lengthLine)
		if strings.HasPrefix(lengthLine, "T") {
			fmt.Fprint(conn, "5\r\n4abc")
		} else {
			fmt.Fprint(conn, "4abc")
		}
		if a := bystander.Post("4x"); !a.Is("ok") {
			t.Errorf("bystander: %v", a)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", lengthLine, res.Status)
		}
		if a := p.Get(); !a.Is("1") {
			t.Errorf("GET after it: %v", a)
		}
		isOver(t, p)
	}
	raw.Until(t, "the bystander is left", func() bool { return s.Stats().Open == 1 })
}

// Two concurrent bodies have no order; conforming clients do not send them.
func TestOverlappingPosts(t *testing.T) {
	inside, goOn := make(chan struct{}), make(chan struct{})
	_, host := serve(t, engine.Options{}, func(*message) {
		inside <- struct{}{}
		<-goOn
	})
	p := host.Polling()
	first := make(chan raw.Answer, 1)
	go func() {
		a, _ := p.Push("4x")
		first <- a
	}()
	raw.Take(t, inside, "the first POST")
	if a := p.Post("4y"); a.Status != http.StatusBadRequest {
		t.Errorf("second POST: %v", a)
	}
	close(goOn)
	raw.Take(t, first, "the first POST's answer")
	if a := p.Get(); !a.Is("1") {
		t.Errorf("GET: %v", a)
	}
	isOver(t, p)
}
