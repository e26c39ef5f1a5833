package durability

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sohbet/bench/conformance/raw"
	"sohbet/bench/process"
	"sohbet/models/storetest"
)

// TestHostileClientsCostThemselves runs the attacks with which unauthenticated clients can try to exhaust a server, all at once and
// from several addresses, while twenty visitors and an agent talk; SOHBET_ATTACK_SECONDS sets the duration. The server has the memory
// limit of a 512 MB container.
func TestHostileClientsCostThemselves(t *testing.T) {
	const (
		visitors = 20
		memory   = 300 << 20
		logBytes = 1 << 20
		patience = 500 * time.Millisecond // maximum latency of an ack; not checked on a machine that runs other tests at the same time
	)
	addresses := 3
	if os.Getenv("SOHBET_ATTACK_SECONDS") != "" {
		addresses = 8
	}
	length := time.Duration(number(t, "SOHBET_ATTACK_SECONDS", 8)) * time.Second
	p := process.Start(t, t.TempDir(), "GOMEMLIMIT=400MiB", "SECRET_KEY="+storetest.Key)
	bombs := bombUploads(t)
	strangers := make([]*stranger, addresses)
	var prepared errgroup.Group
	for i := range strangers {
		strangers[i] = newStranger(p.Addr, fmt.Sprintf("127.0.1.%d", i+1))
		strangers[i].bombs = bombs
		prepared.Go(strangers[i].prepare)
	}
	if err := prepared.Wait(); err != nil {
		t.Fatal(err)
	}
	agent := signIn(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), length+time.Minute)
	defer cancel()
	var acked atomic.Int64
	time.AfterFunc(length, func() { // a busy machine gets up to a minute more, for enough measurements
		for acked.Load() < 3*visitors && ctx.Err() == nil {
			pause(ctx, 100*time.Millisecond)
		}
		cancel()
	})

	var attackers sync.WaitGroup
	var done [6]atomic.Int64 // completed attacks by kind
	for _, s := range strangers {
		for kind, attack := range []struct {
			run   func(context.Context, *stranger) error
			every time.Duration // pause between attacks: attackers and server share the processors
		}{
			{unreadHistories, 20 * time.Millisecond}, {unfinishedFrames, 20 * time.Millisecond}, {joinAndLeave, 100 * time.Millisecond},
			{unknownEvents, 100 * time.Millisecond}, {uploadBombs, 500 * time.Millisecond}, {connectionsWithoutRequest, 500 * time.Millisecond},
		} {
			attackers.Go(func() {
				for ctx.Err() == nil {
					if attack.run(ctx, s) == nil {
						done[kind].Add(1)
					}
					pause(ctx, attack.every)
				}
			})
		}
	}

	team := make(chan error, 1)
	go func() { team <- agent.answer(ctx) }()
	talks := make([]*talk, visitors)
	failures := make(chan error, visitors)
	for i := range talks {
		talks[i] = &talk{visitor: visitor{heard: &acked}}
		go func() { failures <- talks[i].run(ctx, p.Addr) }()
	}
	for range talks {
		if err := <-failures; err != nil {
			t.Errorf("a visitor: %v", err)
		}
	}
	if err := <-team; err != nil {
		t.Errorf("the agent: %v", err)
	}
	cancel()
	attackers.Wait()

	waits := agent.waits
	for _, v := range talks {
		waits = append(waits, v.waits...)
		if err := v.check(p.Addr); err != nil {
			t.Error(err)
		}
	}
	if len(waits) == 0 {
		t.Fatal("nothing was acked")
	}
	slices.Sort(waits)
	p50, p99 := waits[len(waits)/2], waits[len(waits)*99/100]
	size := 0
	for _, line := range p.Log() {
		size += len(line)
	}
	t.Logf("%d messages acked, p50 %v, p99 %v; %.0f MB at the most; %d bytes of log; attacks: %d unread histories, %d unfinished frames, %d joins, %d unknown events, %d bombs, %d idle connections",
		len(waits), p50, p99, float64(p.Peak())/(1<<20), size, done[0].Load(), done[1].Load(), done[2].Load(), done[3].Load(), done[4].Load(), done[5].Load())
	if p.Peak() > memory {
		t.Errorf("%d MB of memory, allowed are %d", p.Peak()>>20, memory>>20)
	}
	if size > logBytes {
		t.Errorf("%d bytes of log:\n%s", size, p.Tail())
	}
	if os.Getenv("SOHBET_ATTACK_SECONDS") != "" && p99 > patience {
		t.Errorf("the slowest acks took %v", p99)
	}
	for kind := range done {
		if done[kind].Load() == 0 {
			t.Errorf("attack %d never ran", kind)
		}
	}
}

// pause sleeps unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// talk is a visitor who writes a message every two seconds, within every rate limit.
type talk struct {
	visitor
	waits []time.Duration // latency of each ack
}

func (v *talk) run(ctx context.Context, addr string) error {
	host := &raw.Host{Addr: addr, Path: "/socket.io/"}
	for v.thread == "" {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.open(host); err != nil {
			pause(ctx, 100*time.Millisecond)
		}
	}
	for n := 0; ctx.Err() == nil; n++ {
		sent := time.Now()
		for { // until it is acked, after reconnecting if necessary
			a, err := v.ask("message", map[string]string{"thread_id": v.thread, "text": fmt.Sprint(n), "client_id": fmt.Sprint(n)})
			if err == nil && a.OK {
				v.acked = append(v.acked, a.Message.ID)
				v.heard.Add(1)
				break
			}
			if err == nil {
				return fmt.Errorf("message %d: %+v", n, a)
			}
			if time.Since(sent) > raw.Patience {
				return err
			}
			pause(ctx, 50*time.Millisecond)
			_ = v.open(host) // the next attempt fails if this did
		}
		v.waits = append(v.waits, time.Since(sent))
		pause(ctx, 2*time.Second+rand.N(200*time.Millisecond))
	}
	return nil
}

// open connects, and creates or resumes the thread.
func (v *talk) open(host *raw.Host) (err error) {
	if v.socket != nil {
		_ = v.socket.Close()
	}
	if v.socket, err = host.DialSocket(); err != nil {
		return err
	}
	a, err := v.ask("join", map[string]string{"display_name": "Ada", "thread_id": v.thread})
	if err == nil && !a.OK {
		err = fmt.Errorf("join: %+v", a)
	}
	if err == nil {
		v.thread = a.ThreadID
	}
	return err
}

// check reads the thread over a new connection, and compares the visitor's messages with the acked ones.
func (v *talk) check(addr string) error {
	if err := v.open(&raw.Host{Addr: addr, Path: "/socket.io/"}); err != nil {
		return err
	}
	defer v.socket.Close()
	if err := v.read(); err != nil {
		return err
	}
	v.stored = slices.DeleteFunc(v.stored, func(m row) bool { return strings.HasPrefix(m.Text, "re ") })
	return v.visitor.check()
}

// agent answers every message of the visitors.
type agent struct {
	visitor
	waits []time.Duration
}

// signIn requests a sign-in code, reads it from the log and connects with the session.
func signIn(t *testing.T, p *process.Process) *agent {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: raw.Patience}
	do := func(path, body string) string {
		t.Helper()
		r, err := http.NewRequest("POST", "http://"+p.Addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s %v", path, res.StatusCode, text, err)
		}
		return string(text)
	}
	do("/request-otp", "{}")
	var code string
	raw.Until(t, "the code is in the log", func() bool {
		for _, line := range p.Log() {
			var l struct{ Msg, Code string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "SIGN-IN CODE" {
				code = l.Code
			}
		}
		return code != ""
	})
	do("/verify-otp", fmt.Sprintf(`{"otp":%q}`, code))
	r, err := http.NewRequest("GET", "http://"+p.Addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	a := &agent{}
	host := &raw.Host{Addr: p.Addr, Path: "/socket.io/", Header: http.Header{"Cookie": r.Header["Cookie"]}}
	if a.socket, err = host.DialSocket(); err != nil {
		t.Fatal(err)
	}
	if got, err := a.ask("admin_join", nil); err != nil || !got.OK {
		t.Fatalf("admin_join: %+v %v", got, err)
	}
	return a
}

// answer replies to each message of a visitor until ctx ends. It is the only goroutine that reads the agent's packets.
func (a *agent) answer(ctx context.Context) error {
	sent := map[int]time.Time{}
	stop := context.AfterFunc(ctx, func() { _ = a.socket.SetReadDeadline(time.Now().Add(time.Second)) })
	defer stop()
	for next := 1; ; {
		packet, err := a.socket.Next()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if found := ackForm.FindStringSubmatch(packet); found != nil {
			var id int
			var got answer
			if _, err := fmt.Sscan(found[1], &id); err != nil || json.Unmarshal([]byte(found[2]), &got) != nil || !got.OK {
				return fmt.Errorf("ack %q", packet)
			}
			a.waits = append(a.waits, time.Since(sent[id]))
			continue
		}
		text, isMessage := strings.CutPrefix(packet, `42["message_from_visitor",`)
		if !isMessage || ctx.Err() != nil {
			continue
		}
		var m struct {
			Thread string `json:"thread_id"`
			Text   string `json:"content_text"`
		}
		if err := json.Unmarshal([]byte(strings.TrimSuffix(text, "]")), &m); err != nil {
			return err
		}
		if len(m.Text) > 100 {
			continue // an attacker's message
		}
		sent[next] = time.Now()
		if err := a.emit(next, "message_to_visitor", map[string]string{"thread_id": m.Thread, "text": "re " + m.Text}); err != nil {
			return err
		}
		next++
	}
}
