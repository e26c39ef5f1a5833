package app

import (
	"database/sql"
	"maps"
	"net/http"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/media/cloudinarytest"
	"sohbet/server/media/mediatest"
	"sohbet/server/telegram/telegramtest"
)

// constants are the metrics that need not change.
var constants = regexp.MustCompile(`^(go_info|go_sql_max_open_connections|process_max_fds|process_start_time_seconds|process_virtual_memory_max_bytes|` +
	`go_memstats_\w+_sys_bytes)$`) // memory that the runtime rarely obtains from the system

var familyLine = regexp.MustCompile(`(?m)^# TYPE (\S+) `)

// scrapes is the history of /metrics.
type scrapes struct {
	t    *testing.T
	site *site
	said map[string]map[string]bool // by family: all values seen, including absent
	last string

	before bool // a scrape was made before
}

func (s *scrapes) scrape() {
	s.t.Helper()
	r := s.site.do(s.t, s.site.browser(s.t), "GET", "/metrics", "", "Authorization", "Bearer metrics-secret")
	if r.status != 200 {
		s.t.Fatalf("metrics: %d %s", r.status, r.body)
	}
	s.last = r.body
	starts := familyLine.FindAllStringSubmatchIndex(r.body, -1)
	for i, at := range starts {
		end := len(r.body)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		name := r.body[at[2]:at[3]]
		if s.said[name] == nil {
			s.said[name] = map[string]bool{}
			if s.before {
				s.said[name][""] = true
			}
		}
		_, lines, _ := strings.Cut(r.body[at[0]:end], "\n")
		lines, _, _ = strings.Cut(lines, "# HELP") // cut before the next family
		s.said[name][lines] = true
	}
	s.before = true
}

// until scrapes until a line matches.
func (s *scrapes) until(line string) {
	s.t.Helper()
	want := regexp.MustCompile(`(?m)^` + line + `$`)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if s.scrape(); want.MatchString(s.last) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not come; there is %q", line, regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(line[:min(12, len(line))])+`.*$`).FindAllString(s.last, 40))
		}
	}
}

// TestEveryMetricMoves triggers what each metric measures, and fails if any registered metric did not change.
func TestEveryMetricMoves(t *testing.T) {
	bot := telegramtest.New(t, telegramtest.Forum())
	cloud := cloudinarytest.New(t, time.Now)
	options := storetest.Options(t, "sqlite")
	options.Telegram = true
	store := storetest.Reopen(t, options)
	seed(t, store, threadA, "Ada")
	s := open(t, store, "TELEGRAM_BOT_TOKEN", telegramtest.Token, "TELEGRAM_CHAT_ID", "-1002233445566", "TELEGRAM_API_URL", bot.URL,
		"CLOUDINARY_URL", "cloudinary://"+cloudinarytest.Key+":"+cloudinarytest.Secret+"@"+cloudinarytest.Name, "CLOUDINARY_UPLOAD_PREFIX", cloud.URL,
		"RATE_LIMIT_TELEGRAM", "off", "METRICS_TOKEN", "metrics-secret", "RATE_LIMIT_UPLOAD", "1/1h", "RATE_LIMIT_MESSAGE", "4/1h")
	s.runWorkers(t)
	m := &scrapes{t: t, site: s, said: map[string]map[string]bool{}}
	m.scrape()

	// Visitors, sockets and their events.
	visitor := s.socket(t, s.browser(t))
	visitor.emit("join", `{"display_name":"Can"}`)
	m.until("sohbet_sockets 1")
	m.until("sohbet_visitors_online 1")
	m.until(`sohbet_socket_events_total\{event="join",outcome="ok"\} 1`)
	m.until(`sohbet_socket_event_duration_seconds_count\{event="join"\} 1`)
	visitor.emit("message", `{"text":"hello"}`)
	m.until("sohbet_sockets_opened_total 1")
	m.until("sohbet_messages_accepted_total 1")
	m.until("sohbet_store_commits_total [1-9][0-9]*")

	// Telegram accepts a message and responds, and then becomes unreachable.
	m.until("sohbet_telegram_sent_total [1-9]")
	m.until("sohbet_telegram_waiting 0")
	bot.Say(telegramtest.In{Topic: bot.Sent()[len(bot.Sent())-1].Topic, Text: "hello too"})
	m.until("sohbet_telegram_received_total [1-9]")
	m.until(`sohbet_outside_call_duration_seconds_count\{outcome="ok",service="telegram"\} [1-9][0-9]*`)
	bot.SetDown(true)
	visitor.emit("message", `{"text":"anybody there?"}`)
	m.until("sohbet_telegram_waiting 1")
	m.until(`sohbet_telegram_waiting_seconds [0-9.e+-]*[1-9][0-9.e+-]*`)
	m.until("sohbet_telegram_failures_total [1-9][0-9]*")
	m.until(`sohbet_outside_call_duration_seconds_count\{outcome="unreachable",service="telegram"\} [1-9][0-9]*`)
	bot.SetDown(false)
	m.until("sohbet_telegram_waiting 0")
	m.until("sohbet_telegram_waiting_seconds 0")

	// A file for Cloudinary, and one more than allowed.
	photo := mediatest.JPEG(t, mediatest.Picture(90, 60, 0))
	s.upload(t, "image", "a.jpg", photo)
	m.until(`sohbet_outside_call_duration_seconds_count\{outcome="ok",service="cloudinary"\} [1-9][0-9]*`)
	if r := s.upload(t, "image", "a.jpg", photo); r.status != http.StatusTooManyRequests {
		t.Fatalf("a second file: %d", r.status)
	}
	m.until(`sohbet_limited_total\{limit="http"\} 1`)
	m.until(`sohbet_http_requests_total\{method="POST",route="/api/upload/image",status="429"\} 1`)
	m.until(`sohbet_http_request_duration_seconds_count\{route="/api/upload/image"\} 2`)

	// Another program locks the database: writes wait in the queue and for the only connection.
	other := locked(t, options.URL)
	stored := make(chan error, 2)
	for range cap(stored) { // one held by the writer, and one waiting behind it
		message := models.NewMessage{ThreadID: threadA, ContentText: "later", ContentType: "text", SenderType: models.Visitor}
		if err := store.Append(t.Context(), message, func(_ models.Appended, err error) { stored <- err }); err != nil {
			t.Fatal(err)
		}
		m.until(`go_sql_in_use_connections\{db_name="write"\} 1`)
	}
	m.until("sohbet_store_queue [1-9]")
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for range cap(stored) {
		if err := <-stored; err != nil {
			t.Error(err)
		}
	}
	m.until("sohbet_store_queue 0")

	// A conversation stored by another process, read twice: from the database and from the cache.
	seed(t, storetest.Reopen(t, options), threadB, "Bob", "first")
	agent := s.browser(t)
	s.do(t, agent, "POST", "/request-otp", "")
	var code string
	bot.Wait(t, 20*time.Second, "the code", func() bool {
		for _, sent := range bot.Sent() {
			code += sixDigits.FindString(sent.Text)
		}
		return code != ""
	})
	if r := s.do(t, agent, "POST", "/verify-otp", `{"otp":"`+code+`"}`); r.status != 200 {
		t.Fatalf("signing in: %d %s", r.status, r.body)
	}
	for range 2 {
		s.do(t, agent, "GET", "/api/messages/"+threadB, "")
	}
	m.until("sohbet_cache_misses_total [1-9][0-9]*")
	m.until("sohbet_cache_hits_total [1-9][0-9]*")

	// An agent's page that stopped reading is disconnected.
	deaf := s.socket(t, agent)
	deaf.emit("admin_join", "")
	long := strings.Repeat("🫖", 10_000)
	for i := 0; !strings.Contains(m.last, "\nsohbet_sockets_cut_total 1\n") && i < 2000; i++ {
		if r := s.do(t, agent, "POST", "/api/messages/send", `{"thread_id":"`+threadA+`","text":"`+long+`"}`); r.status != 200 {
			t.Fatalf("message %d: %d %s", i, r.status, r.body)
		}
		if i%20 == 0 {
			m.scrape()
		}
	}
	m.until("sohbet_sockets_cut_total 1")

	// The pools close connections, and make callers wait.
	for _, pool := range store.Pools() {
		move(t, pool, m.scrape)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(90))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 40))
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	runtime.GOMAXPROCS(before + 1)
	threads := make(chan struct{})
	for range 32 { // each occupies an OS thread
		go func() {
			runtime.LockOSThread()
			<-threads
		}()
	}
	runtime.GC()
	m.scrape()
	close(threads)

	var still []string
	for _, name := range slices.Sorted(maps.Keys(m.said)) {
		if len(m.said[name]) < 2 && !constants.MatchString(name) {
			still = append(still, name)
		}
	}
	if len(still) > 0 {
		t.Errorf("nothing moved: %s", strings.Join(still, ", "))
	}
	if len(m.said) < 60 {
		t.Errorf("only %d metrics are there: %v", len(m.said), slices.Sorted(maps.Keys(m.said)))
	}
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// move changes every metric of a pool that has not changed by itself: connections in use, waiting, and each reason to close one. look
// is called while all are in use.
func move(t *testing.T, pool *sql.DB, look func()) {
	t.Helper()
	hold := func(n int) (release func()) {
		var held []*sql.Conn
		for range n {
			c, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		return func() {
			for _, c := range held {
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	most := pool.Stats().MaxOpenConnections
	release := hold(most)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		hold(1)()
	}()
	for before := pool.Stats().WaitCount; pool.Stats().WaitCount == before; {
		time.Sleep(time.Millisecond)
	}
	look()
	release()
	<-waited

	pool.SetMaxIdleConns(-1)
	hold(1)()
	pool.SetMaxIdleConns(most)
	for _, limit := range []struct {
		set    func(time.Duration)
		closed func() int64
	}{
		{pool.SetConnMaxLifetime, func() int64 { return pool.Stats().MaxLifetimeClosed }},
		{pool.SetConnMaxIdleTime, func() int64 { return pool.Stats().MaxIdleTimeClosed }},
	} {
		hold(1)()
		for limit.set(time.Nanosecond); limit.closed() == 0; time.Sleep(10 * time.Millisecond) {
			hold(1)()
		}
		limit.set(0)
	}
}
