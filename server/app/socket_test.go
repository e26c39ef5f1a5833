package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// socket is a minimal Socket.IO client over polling.
type socket struct {
	t       *testing.T
	site    *site
	client  *http.Client
	headers []string
	path    string
	acks    int
	packets []string // received and not consumed yet
}

var openedSID = regexp.MustCompile(`"sid":"([^"]+)"`)

// socket connects; headers come in pairs and are sent with every request.
func (s *site) socket(t *testing.T, c *http.Client, headers ...string) *socket {
	t.Helper()
	so := &socket{t: t, site: s, client: c, headers: headers, path: "/socket.io/?EIO=4&transport=polling"}
	r := s.do(t, c, "GET", so.path, "", headers...)
	sid := openedSID.FindStringSubmatch(r.body)
	if r.status != 200 || sid == nil {
		t.Fatalf("handshake: %d %s", r.status, r.body)
	}
	so.path += "&sid=" + sid[1]
	so.send("40")
	so.await(func(p string) bool { return strings.HasPrefix(p, "40") })
	return so
}

func (so *socket) send(packet string) {
	so.t.Helper()
	if r := so.site.do(so.t, so.client, "POST", so.path, packet, append(so.headers, "Content-Type", "text/plain;charset=UTF-8")...); r.status != 200 {
		so.t.Fatalf("send %.40q: %d %s", packet, r.status, r.body)
	}
}

// await removes the first packet that matches, polling until there is one.
func (so *socket) await(fits func(packet string) bool) string {
	so.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if i := slices.IndexFunc(so.packets, fits); i >= 0 {
			p := so.packets[i]
			so.packets = slices.Delete(so.packets, i, i+1)
			return p
		}
		r := so.site.do(so.t, so.client, "GET", so.path, "", so.headers...)
		if r.status != 200 {
			return "closed"
		}
		for p := range strings.SplitSeq(r.body, "\x1e") {
			if p == "2" { // heartbeat
				so.send("3")
				continue
			}
			so.packets = append(so.packets, p)
		}
	}
	so.t.Fatalf("nothing came; there is %q", so.packets)
	return ""
}

// ack is the acknowledgement of an event.
type ack struct {
	OK    bool
	Error struct {
		Code         string
		Message      string
		RetryAfterMS int64 `json:"retry_after_ms"`
	}
	ThreadID string `json:"thread_id"`
	raw      string
}

// code returns "ok" or the error code.
func (a ack) code() string {
	if a.OK {
		return "ok"
	}
	return a.Error.Code
}

// emit sends an event and returns its acknowledgement. payload is JSON, "" for none.
func (so *socket) emit(event, payload string) ack {
	so.t.Helper()
	so.acks++
	args := strconv.Quote(event)
	if payload != "" {
		args += "," + payload
	}
	prefix := "43" + strconv.Itoa(so.acks) + "["
	so.send(fmt.Sprintf("42%d[%s]", so.acks, args))
	p := so.await(func(p string) bool { return strings.HasPrefix(p, prefix) })
	var a []ack
	if err := json.Unmarshal([]byte(p[len(prefix)-1:]), &a); err != nil || len(a) != 1 {
		so.t.Fatalf("ack of %s: %q, %v", event, p, err)
	}
	a[0].raw = p
	return a[0]
}

// received waits for an event and returns its packet, or "closed".
func (so *socket) received(event string) string {
	so.t.Helper()
	return so.await(func(p string) bool { return strings.HasPrefix(p, `42["`+event+`"`) })
}
