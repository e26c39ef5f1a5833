package app

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server"
	"sohbet/server/audit"
	"sohbet/server/broker"
	"sohbet/server/commands"
	"sohbet/server/config"
	"sohbet/server/disk"
	"sohbet/server/logging"
	"sohbet/server/logging/loggingtest"
	"sohbet/server/media"
	"sohbet/server/metrics"
)

const testKey = "0123456789abcdef0123456789abcdef"

// site is the whole program without the command line, assembled as in serve, behind a test server.
type site struct {
	*httptest.Server
	server  *server.Server
	store   *models.Store
	log     *loggingtest.Buffer
	files   *media.Service
	workers workers
	dir     string // DATA_DIR
}

const metricsToken = "metrics-secret"

func settings(t *testing.T, pairs ...string) *config.Config {
	t.Helper()
	env := map[string]string{"SECRET_KEY": testKey, "LOG_LEVEL": "debug", "HOST": "127.0.0.1", "PORT": "0", "DATA_DIR": t.TempDir(), "METRICS_TOKEN": metricsToken,
		"RATE_LIMIT_LOGIN": "off", "RATE_LIMIT_API": "off", "RATE_LIMIT_MESSAGE": "off", "RATE_LIMIT_UPLOAD": "off"}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	cfg, err := config.Load(t.TempDir(), func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func open(t *testing.T, store *models.Store, pairs ...string) *site {
	t.Helper()
	return openOn(t, store, disk.Usage, pairs...)
}

// openOn is like open, with a fake disk.
func openOn(t *testing.T, store *models.Store, usage usage, pairs ...string) *site {
	t.Helper()
	cfg := settings(t, pairs...)
	s := &site{store: store, log: &loggingtest.Buffer{}, dir: cfg.DataDir}
	s.server, s.files, s.workers = assemble(t, cfg, store, usage, s.log)
	s.Server = httptest.NewServer(s.server)
	t.Cleanup(s.Close)
	run(t, s.workers[:1]) // jobs, for which requests wait
	s.workers = s.workers[1:]
	return s
}

// usage returns the free and total space of a disk.
type usage = func(dir string) (free, total uint64, err error)

// runWorkers runs the other background workers until the test ends.
func (s *site) runWorkers(t *testing.T) {
	t.Helper()
	run(t, s.workers)
}

func run(t *testing.T, all workers) {
	ctx, stop := context.WithCancel(context.Background())
	var background sync.WaitGroup
	for _, work := range all {
		background.Go(func() { work(ctx) })
	}
	t.Cleanup(func() {
		stop()
		background.Wait()
	})
}

// assemble assembles the program as serve does.
func assemble(t *testing.T, cfg *config.Config, store *models.Store, usage usage, to io.Writer) (*server.Server, *media.Service, workers) {
	t.Helper()
	level := changing(cfg.LogLevel)
	log := logging.New(to, level, true)
	numbers := metrics.New(time.Now)
	now, asked := time.Now(), atomic.Int64{}
	space := disk.New(disk.Options{Dir: cfg.DataDir, Floor: cfg.MinFree, Spare: store.Spare, Usage: usage,
		Now: func() time.Time { return now.Add(time.Duration(asked.Add(1)) * time.Second) }}) // the disk is checked again on every call
	files, err := openFiles(cfg, store, space, numbers, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	trail := audit.New(log, time.Now, store)
	s, background, err := (&parts{Build{}, cfg, store, files, space, &broker.Memory{}, numbers, trail, level, log}).wire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, files, background
}

// browser returns an HTTP client with cookies that follows no redirects.
func (s *site) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 3 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is a response with its whole body.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("answer %d is no JSON of that form: %v\n%s", r.status, err, r.body)
	}
}

// code returns the error code of the response, "" for none.
func (r reply) code() string {
	var v struct {
		Code string `json:"code"`
	}
	if json.Unmarshal([]byte(r.body), &v) != nil {
		return ""
	}
	return v.Code
}

// do sends a request; headers come in pairs. A body that begins with { is sent as JSON.
func (s *site) do(t *testing.T, c *http.Client, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply{res.StatusCode, res.Header, string(text)}
}

var loggedCode = regexp.MustCompile(`"code":"(\d{6})"`)

// lastCode reads the newest one-time code from the log, like an operator without a bot.
func (s *site) lastCode(t *testing.T) string {
	t.Helper()
	all := loggedCode.FindAllStringSubmatch(s.log.String(), -1)
	if len(all) == 0 {
		t.Fatal("no code in the log")
	}
	return all[len(all)-1][1]
}

// agent signs in and returns the browser with the session.
func (s *site) agent(t *testing.T) *http.Client {
	t.Helper()
	c := s.browser(t)
	s.signIn(t, c)
	return c
}

func (s *site) signIn(t *testing.T, c *http.Client) {
	t.Helper()
	if r := s.do(t, c, "POST", "/request-otp", ""); r.status != 200 {
		t.Fatalf("asking for a code: %d %s", r.status, r.body)
	}
	if r := s.do(t, c, "POST", "/verify-otp", `{"otp":"`+s.lastCode(t)+`"}`); r.status != 200 {
		t.Fatalf("entering the code: %d %s", r.status, r.body)
	}
}

const (
	threadA = "11111111-1111-4111-8111-111111111111"
	threadB = "22222222-2222-4222-8222-222222222222"
	unknown = "33333333-3333-4333-8333-333333333333"
)

func seed(t *testing.T, store *models.Store, id, name string, messages ...string) {
	t.Helper()
	if _, err := store.CreateThread(t.Context(), models.NewThread{ID: id, DisplayName: name}); err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, len(messages))
	for _, text := range messages {
		m := models.NewMessage{ThreadID: id, ContentText: text, ContentType: "text", SenderType: models.Visitor}
		if err := store.Append(t.Context(), m, func(_ models.Appended, err error) { stored <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for range messages {
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, tc := range []struct {
		args []string
		out  string
		code int
	}{
		{[]string{"version"}, "commit ", commands.ExitOK}, {[]string{"help"}, "Examples:", commands.ExitOK},
		{[]string{"--help"}, "Usage:", commands.ExitOK}, {[]string{"help", "restore"}, "--force", commands.ExitOK},
		{[]string{"settings"}, "SECRET_KEY", commands.ExitOK},
		{[]string{"dance"}, "", commands.ExitUsage}, {[]string{"-x"}, "", commands.ExitUsage}, {[]string{"version", "now"}, "", commands.ExitUsage},
		{[]string{"restore"}, "", commands.ExitUsage}, {[]string{"backup", "--force", "a"}, "", commands.ExitUsage},
		{[]string{"prune", "--days", "-1"}, "", commands.ExitUsage}, {[]string{"prune", "--days", "many"}, "", commands.ExitUsage},
	} {
		var out, errs bytes.Buffer
		code := Main(t.Context(), Build{}, tc.args, &out, &errs)
		if code != tc.code || !strings.Contains(out.String(), tc.out) || (code == commands.ExitOK) != (errs.Len() == 0) {
			t.Errorf("%v: exit code %d, printed %q and %q", tc.args, code, out.String(), errs.String())
		}
	}
}

func TestWrongSettingsStopTheStart(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PORT", "never")
	t.Setenv("LOG_LEVEL", "loud")
	var errs bytes.Buffer
	code := Main(t.Context(), Build{}, nil, io.Discard, &errs)
	if code != commands.ExitFailed || !strings.Contains(errs.String(), "PORT holds \"never\"") || !strings.Contains(errs.String(), "\nsohbet: LOG_LEVEL holds") {
		t.Errorf("exit code %d, output %q", code, errs.String())
	}
}

func TestTakenPortStopsTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	t.Chdir(t.TempDir())
	t.Setenv("PORT", port)
	t.Setenv("HOST", "127.0.0.1")
	var errs bytes.Buffer
	code := Main(t.Context(), Build{}, nil, io.Discard, &errs)
	if code != commands.ExitFailed || !strings.Contains(errs.String(), "PORT holds \""+port+"\": another program listens there") {
		t.Errorf("exit code %d, output %q", code, errs.String())
	}
}

// TestStop checks the shutdown sequence: readiness ends, a pending poll is answered so that its client reconnects, a response in
// progress is completed, the port is released, and the store closes with everything stored.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	options := models.Options{URL: "sqlite://" + filepath.Join(dir, "chat.db"), Keys: []string{testKey}, CacheTTL: time.Minute}
	store, err := models.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	seed(t, store, threadA, "Ada")
	log := &loggingtest.Buffer{}
	s, _, _ := assemble(t, settings(t), store, disk.Usage, log)
	if r := record(s, "/health/ready"); r.Code != 503 || !strings.Contains(r.Body.String(), "starting") {
		t.Errorf("ready before it serves: %d %s", r.Code, r.Body)
	}
	url, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()

	web := &site{Server: &httptest.Server{URL: url}, log: log}
	c := web.browser(t)
	if r := web.do(t, c, "GET", "/health/ready", ""); r.status != 200 {
		t.Errorf("ready: %d %s", r.status, r.body)
	}
	hello := web.do(t, c, "GET", "/socket.io/?EIO=4&transport=polling", "")
	sid := regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(hello.body)
	if sid == nil {
		t.Fatalf("no handshake: %d %s", hello.status, hello.body)
	}
	web.do(t, c, "POST", "/socket.io/?EIO=4&transport=polling&sid="+sid[1], "40")
	web.do(t, c, "GET", "/socket.io/?EIO=4&transport=polling&sid="+sid[1], "") // the response to CONNECT
	polled := make(chan int, 1)
	go func() {
		res, err := c.Get(url + "/socket.io/?EIO=4&transport=polling&sid=" + sid[1])
		if err != nil {
			polled <- 0
			return
		}
		_ = res.Body.Close()
		polled <- res.StatusCode
	}()
	r := web.do(t, c, "POST", "/api/messages/send", `{"text":"before the stop"}`, "Authorization", "Bearer "+threadA)
	if r.status != 200 {
		t.Fatalf("send: %d %s", r.status, r.body)
	}
	time.Sleep(100 * time.Millisecond) // the poll is pending now
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stop: %v", err)
		}
	case <-time.After(7 * time.Second):
		t.Fatal("the stop waits for the poll")
	}
	if status := <-polled; status == 0 {
		t.Error("the waiting poll was cut instead of answered")
	}
	if r := record(s, "/health/ready"); r.Code != 503 || !strings.Contains(r.Body.String(), "stopping") {
		t.Errorf("ready after the stop: %d %s", r.Code, r.Body)
	}
	again, err := net.Listen("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		_ = again.Close()
	}
	if err := store.Close(); err != nil {
		t.Errorf("close the store: %v", err)
	}
	messages, _, err := storetest.Reopen(t, options).Messages(t.Context(), threadA, models.MessageQuery{})
	if err != nil || len(messages) != 1 || messages[0].ContentText != "before the stop" {
		t.Errorf("after a restart: %+v, %v", messages, err)
	}
}

func record(h http.Handler, path string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+metricsToken)
	h.ServeHTTP(w, r)
	return w
}
