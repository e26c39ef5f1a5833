package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sohbet/bench/conformance/raw"
	"sohbet/models/storetest"
	"sohbet/server/media/mediatest"
)

// hostileInputs returns how many inputs the test sends; HOSTILE_INPUTS=1000000 makes it a long run.
func hostileInputs(t *testing.T) int {
	t.Helper()
	text := os.Getenv("HOSTILE_INPUTS")
	if text == "" {
		return 6000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("HOSTILE_INPUTS: %v", err)
	}
	return n
}

// mutator generates almost valid inputs.
type mutator struct {
	*rand.Rand
	thread, session string
	files           []string // URLs of files to upload
}

var fragments = []string{
	"", " ", "\x00", "\xff\xfe", "\u202e", "😀", "'", `"`, `\`, "`", ";", "--", "' OR 1=1 --", "<script>", "../", "..%2f", "%00", "%ff", "%", "{{.}}", "${7*7}", "\r\n",
	"null", "true", "-1", "0", "1e309", "9223372036854775808", "NaN", "[]", "{}", "[[[[[[[[", `{"a":`, `"\ud800"`, "undefined", "constructor", "__proto__",
	"file:///etc/passwd", "javascript:alert(1)", "http://169.254.169.254/", "data:text/html,x", "//evil.example", "/uploads/../chat.db",
}

func (m *mutator) pick(list []string) string { return list[m.IntN(len(list))] }

// word returns a plausible value, or an invalid one.
func (m *mutator) word() string {
	switch m.IntN(7) {
	case 0:
		return m.thread
	case 1:
		return strings.Repeat(m.pick(fragments), m.IntN(40))
	case 2:
		return strings.Repeat("x", m.IntN(12_000))
	case 3: // slow for a regular expression that backtracks
		return m.pick([]string{"https://a", "a@", "www.", "😀", " ", "/uploads/"}) +
			strings.Repeat(m.pick([]string{"!", "😀", "a.", "a-", " ", "*", "👩\u200d"}), m.IntN(3000)) + "x" + strings.Repeat(")", m.IntN(3000))
	default:
		return m.pick(fragments) + m.pick(fragments)
	}
}

func (m *mutator) quoted() string {
	if m.IntN(4) == 0 {
		return m.pick([]string{"null", "1", "-1", "true", "[]", "{}", "1e400", `["x"]`, `{"x":{}}`, "99999999999999999999"})
	}
	return strconv.Quote(m.word())
}

var fields = []string{"thread_id", "text", "content_text", "type", "content_type", "file_url", "client_id", "display_name", "phone_number", "page_url", "locale",
	"last_id", "before_id", "after_id", "limit", "typing", "address", "status", "otp", "username", "password", "message_id", "away"}

func (m *mutator) object() string {
	var parts []string
	for range m.IntN(6) {
		parts = append(parts, strconv.Quote(m.pick(fields))+":"+m.quoted())
	}
	if m.IntN(3) > 0 {
		parts = append(parts, `"thread_id":"`+m.thread+`"`)
	}
	return m.damage("{" + strings.Join(parts, ",") + "}")
}

// damage changes one or two bytes in a quarter of the calls.
func (m *mutator) damage(s string) string {
	if len(s) == 0 || m.IntN(4) > 0 {
		return s
	}
	b := []byte(s)
	for range 1 + m.IntN(2) {
		switch i := m.IntN(len(b)); m.IntN(3) {
		case 0:
			b[i] = byte(m.IntN(256))
		case 1:
			b = append(b[:i], b[i:]...)
		case 2:
			b = b[:i+1]
		}
	}
	return string(b)
}

// request writes a request manually: Go's client would refuse to send most of these.
func (m *mutator) request(routes []string) []byte {
	method, path, _ := strings.Cut(m.pick(routes), " ")
	if m.IntN(8) == 0 {
		method = m.pick([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW", "get"})
	}
	plain := strings.NewReplacer(" ", "%20", "\r", "%0D", "\n", "%0A", "\x00", "%00").Replace
	path = strings.NewReplacer(":thread_id", plain(m.word()), ":folder", plain(m.pick(fragments)), ":name", plain(m.pick(fragments)), "*", plain(m.word())).Replace(path)
	if m.IntN(2) == 0 {
		path += "?" + m.pick([]string{"thread_id", "q", "limit", "page", "per_page", "before", "before_id", "after_id", "status", "lang", "transport", "sid", "EIO"}) + "=" + plain(m.word())
	}
	body := ""
	kind := ""
	switch {
	case method == "GET" || method == "HEAD":
	case strings.HasPrefix(path, "/api/upload/") && m.IntN(4) > 0:
		body = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + m.damage(m.pick(m.files)) + "\r\n--x--\r\n"
		kind = "Content-Type: multipart/form-data; boundary=x\r\n"
	default:
		body = m.object()
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: chat.example\r\nContent-Length: %d\r\n%s", method, path, len(body), kind)
	clean := strings.NewReplacer("\r", "", "\n", "").Replace
	for range m.IntN(4) {
		name := m.pick([]string{"Cookie", "Authorization", "Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "X-Request-Id",
			"X-CSRF-Token", "Accept", "Accept-Encoding", "Accept-Language", "Range", "If-None-Match", "If-Modified-Since", "Content-Type", "Expect", "Upgrade", "X-HTTP-Method-Override"})
		value := m.pick([]string{m.word(), "Bearer " + m.thread, "Bearer " + m.word(), "sohbet_session=" + m.session, "sohbet_session=" + m.damage(m.session), "bytes=0-,-1,5-2",
			"application/json", "multipart/form-data", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/html", "cross-site", "same-origin", "null", "websocket"})
		if len(value) < 4000 {
			fmt.Fprintf(&b, "%s: %s\r\n", name, clean(value))
		}
	}
	if m.IntN(2) == 0 {
		fmt.Fprintf(&b, "Cookie: sohbet_session=%s\r\n", m.session)
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// packet returns a Socket.IO packet for polling or a websocket.
func (m *mutator) packet(names []string) string {
	args := []string{strconv.Quote(m.pick(names)), m.object()}
	if m.IntN(6) == 0 {
		args = append(args, m.quoted())
	}
	p := "42" + m.pick([]string{"", "1", "2", "999999999", "-1"}) + "[" + strings.Join(args, ",") + "]"
	if m.IntN(12) == 0 {
		p = m.pick([]string{"2", "3", "40", "41", "5", "6", "45" + m.pick([]string{"1", "9", "999999999999"}) + "-[\"x\",{\"_placeholder\":true,\"num\":0}]", "43[]", "44", "4", "9", "40/admin,", "bAAAA", m.word()})
	}
	return m.damage(p)
}

// TestHostileInputs sends random and mutated requests and packets to the real server and checks that it is unaffected: no 5xx, no
// panic, and no leaked goroutines or memory.
func TestHostileInputs(t *testing.T) {
	store := storetest.Open(t, "sqlite")
	s := open(t, store, "LOG_LEVEL", "warn")
	seed(t, store, threadA, "Ada", "first")
	session := s.cookie(t, s.agent(t), "sohbet_session")
	// Skip routes that would end this test's session or send codes.
	var routes []string
	for _, route := range s.server.Routes() {
		if !strings.HasSuffix(route, "/logout") && !strings.HasSuffix(route, "clear_all") && route != "POST /api/me" {
			routes = append(routes, route)
		}
	}
	routes = append(routes, "GET /*", "POST /*", "GET /socket.io/*", "POST /api/*")
	picture := mediatest.Picture(40, 30, 4)
	files := []string{
		string(mediatest.PNG(t, picture)), string(mediatest.WebP(t, picture)), string(mediatest.JPEG(t, picture)), string(mediatest.GIF(t, 8, 8, 9)),
		string(mediatest.WebM(2, 3)), string(mediatest.Ogg(5)), string(mediatest.PDF()), string(mediatest.DOCX(t)),
	}
	inputs := hostileInputs(t)
	before, goroutines := heapNow(), runtime.NumGoroutine()
	const workers = 4
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			m := &mutator{rand.New(rand.NewPCG(uint64(inputs), uint64(w))), threadA, session, files}
			switch w {
			case 0, 1:
				hostileHTTP(t, s, m, routes, inputs/workers)
			case 2:
				hostileSockets(t, s, m, inputs/workers)
			default:
				hostileFrames(t, s, m, inputs/workers)
			}
		})
	}
	wg.Wait()
	log := s.log.String()
	for _, bad := range []string{"panic", `"level":"ERROR"`, "DATA RACE"} {
		if i := strings.Index(log, bad); i >= 0 {
			t.Errorf("the log has %s: %.1500s", bad, log[max(0, i-300):])
		}
	}
	if r := s.do(t, s.browser(t), "GET", "/api/threads", "", "Cookie", "sohbet_session="+session); r.status != 200 {
		t.Errorf("the agent afterwards: %d %.200s", r.status, r.body)
	}
	for deadline := time.Now().Add(2 * time.Minute); runtime.NumGoroutine() > goroutines+30; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
	if grown := heapNow() - before; grown > 64<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	t.Logf("%d inputs; heap %+d kB, goroutines %d → %d", inputs, (heapNow()-before)>>10, goroutines, runtime.NumGoroutine())
}

func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees memory held by finalizers
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// hostileHTTP writes requests to a connection, opening a new one whenever the server has closed it.
func hostileHTTP(t *testing.T, s *site, m *mutator, routes []string, n int) {
	address := strings.TrimPrefix(s.URL, "http://")
	var conn net.Conn
	var reader *bufio.Reader
	hangUp := func() {
		if conn != nil {
			_ = conn.Close()
		}
		conn = nil
	}
	defer hangUp()
	answers := 0
	for range n {
		if conn == nil {
			var err error
			if conn, err = net.Dial("tcp", address); err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			reader = bufio.NewReader(conn)
		}
		request := m.request(routes)
		_ = conn.SetDeadline(time.Now().Add(40 * time.Second))
		if _, err := conn.Write(request); err != nil { // the server may close the connection
			hangUp()
			continue
		}
		res, err := readAnswer(reader, request)
		if err != nil {
			hangUp()
			continue
		}
		answers++
		if res.StatusCode >= 500 && !unready(request, res.StatusCode) {
			t.Errorf("%.300q is answered with %d", request, res.StatusCode)
			return
		}
		if res.Close || m.IntN(50) == 0 {
			hangUp()
		}
	}
	if answers < n/2 {
		t.Errorf("%d answers to %d requests", answers, n)
	}
}

// readAnswer reads one final response completely, skipping informational ones.
func readAnswer(reader *bufio.Reader, request []byte) (*http.Response, error) {
	method, _, _ := strings.Cut(string(request), " ")
	for {
		res, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode >= 200 {
			return res, err
		}
	}
}

// unready reports whether a response is a 503 of the readiness check, which always fails because Serve was not called.
func unready(request []byte, status int) bool {
	return status == http.StatusServiceUnavailable && bytes.Contains(request, []byte(" /health"))
}

// hostileFrames sends packets over websockets, in fragments, pieces and floods, joins and leaves namespaces, and leaves frames
// unfinished.
func hostileFrames(t *testing.T, s *site, m *mutator, n int) {
	host := &raw.Host{T: t, Addr: strings.TrimPrefix(s.URL, "http://"), Path: "/socket.io/", Header: http.Header{"Cookie": {"sohbet_session=" + m.session}}}
	for sent := 0; sent < n && !t.Failed(); {
		w, err := host.DialWebsocket()
		if err != nil {
			t.Errorf("no websocket: %v", err)
			return
		}
		var out []byte
		for range 1 + m.IntN(40) {
			sent++
			text := "4" + m.packet(eventNames)
			switch m.IntN(10) {
			case 0:
				out = append(out, raw.Texts("40", "41", "40")...)
			case 1:
				out = append(out, bytes.Repeat(raw.Text(m.pick([]string{"6", "3", text})), m.IntN(50))...)
			case 2:
				out = append(out, raw.Frame(ws.NewFrame(ws.OpText, false, []byte(text)))...)
				out = append(out, raw.Frame(ws.NewFrame(ws.OpContinuation, m.IntN(2) == 0, []byte(text)))...)
			case 3:
				out = append(out, raw.Frame(ws.NewFrame(ws.OpCode(m.IntN(16)), true, []byte(m.word())))...)
			case 4:
				out = append(out, raw.Binary(m.word())...)
			default:
				out = append(out, raw.Text(text)...)
			}
		}
		if len(out) > 0 && m.IntN(2) == 0 {
			out = out[:m.IntN(len(out))+1]
		}
		_ = w.SetDeadline(time.Now().Add(40 * time.Second))
		_, _ = w.Write(append(raw.Text("40"), m.damage(string(out))...)) // the server may have closed it
		if m.IntN(2) == 0 {
			_, _ = w.Next()
		}
		_ = w.Close()
	}
}

var eventNames = []string{"join", "rejoin", "message", "message_to_admin", "message_from_visitor", "message_to_visitor", "typing", "history", "read", "heartbeat", "join_thread",
	"leave_thread", "admin_join", "block_thread", "unblock_thread", "connect", "disconnect", "error", "__proto__", ""}

// hostileSockets sends packets over polling, several at a time, and leaves connections in every state.
func hostileSockets(t *testing.T, s *site, m *mutator, n int) {
	client := &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	send := func(method, path, body string, cookie bool) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		if cookie {
			req.Header.Set("Cookie", "sohbet_session="+m.session)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Errorf("%s %s: %v", method, path, err)
			return 0, ""
		}
		defer func() { _ = res.Body.Close() }()
		text, _ := io.ReadAll(res.Body)
		if res.StatusCode >= 500 {
			t.Errorf("%.300q is answered with %d %.300s", body, res.StatusCode, text)
		}
		return res.StatusCode, string(text)
	}
	const base = "/socket.io/?EIO=4&transport=polling"
	sent := 0
	for sent < n && !t.Failed() {
		asAgent := m.IntN(2) == 0
		_, hello := send("GET", base, "", asAgent)
		sid := openedSID.FindStringSubmatch(hello)
		if sid == nil {
			t.Errorf("no handshake: %s", hello)
			return
		}
		path := base + "&sid=" + sid[1]
		send("POST", path, "40", asAgent)
		send("GET", path, "", asAgent)
		for range 1 + m.IntN(8) {
			var packets []string
			for range 1 + m.IntN(20) {
				packets = append(packets, m.packet(eventNames))
			}
			sent += len(packets)
			if status, _ := send("POST", path, strings.Join(packets, "\x1e"), asAgent); status != 200 {
				break
			}
		}
		if m.IntN(20) > 0 { // the others are left for the server to time out
			send("POST", path, "1", asAgent)
		}
	}
}
