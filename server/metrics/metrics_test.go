package metrics

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d, %v", w.Code, err)
	}
	return string(body)
}

type answers []int

// RoundTrip responds with one status after the other; 0 is an error.
func (a *answers) RoundTrip(*http.Request) (*http.Response, error) {
	status := (*a)[0]
	*a = (*a)[1:]
	if status == 0 {
		return nil, errors.New("gone")
	}
	return &http.Response{StatusCode: status, Body: http.NoBody}, nil
}

func TestCallsAreCountedByOutcomeAndNeverByAddress(t *testing.T) {
	m := New(time.Now)
	outside := &answers{200, 404, 429, 502, 0}
	transport := m.Transport("somewhere", outside)
	for range 5 {
		if res, err := transport.RoundTrip(httptest.NewRequest("GET", "https://host/bot123:secret/getMe", nil)); err == nil {
			_ = res.Body.Close()
		}
	}
	text := read(t, m)
	for _, outcome := range []string{"ok", "refused", "limited", "failed", "unreachable"} {
		if !strings.Contains(text, `sohbet_outside_call_duration_seconds_count{outcome="`+outcome+`",service="somewhere"} 1`) {
			t.Errorf("%s is not counted", outcome)
		}
	}
	if strings.Contains(text, "secret") {
		t.Error("an address is in the numbers")
	}
}

func TestLatency(t *testing.T) {
	m := New(time.Now)
	l := m.MessageLatency()
	if _, ok := l.Quantile(.95); ok {
		t.Error("there was no message")
	}
	for range 100 {
		m.Event("message", OK, 3*time.Millisecond)
	}
	m.Event("typing", OK, time.Hour)
	if d, ok := l.Quantile(.95); !ok || d < 2500*time.Microsecond || d > 5*time.Millisecond {
		t.Errorf("%v, %v: want a time of the bucket from 2.5 to 5 ms", d, ok)
	}
	for range 90 {
		m.Event("message", OK, time.Millisecond/2)
	}
	for range 10 {
		m.Event("message", OK, time.Minute)
	}
	if d, _ := l.Quantile(.5); d > time.Millisecond { // only of messages since the last call
		t.Errorf("the half took %v", d)
	}
	m.Event("message", OK, time.Minute)
	if d, ok := l.Quantile(.95); !ok || d != 10*time.Second {
		t.Errorf("beyond the last bound: %v", d)
	}
}

func TestHistoryKeepsAnHour(t *testing.T) {
	var h History
	for i := range samples + 5 {
		h.Add(Sample{Visitors: i})
	}
	if list := h.Samples(); len(list) != samples || list[0].Visitors != 5 || list[samples-1].Visitors != samples+4 {
		t.Errorf("%d samples, from %d", len(list), list[0].Visitors)
	}
}

func TestNothingIsKeptByANilMetrics(t *testing.T) {
	var m *Metrics
	m.Request("GET", "/", 200, 0)
	m.Event("message", OK, 0)
	m.Limited("http")
	m.Call("x", OK, 0)
}

func TestRequests(t *testing.T) {
	m := New(time.Now)
	m.Request("GET", "/health", 200, time.Millisecond)
	m.Request("GET", "/health", 200, time.Millisecond)
	found := regexp.MustCompile(`sohbet_http_requests_total\{method="GET",route="/health",status="200"\} (\d+)`).FindStringSubmatch(read(t, m))
	if found == nil {
		t.Fatal("no requests")
	}
	if n, err := strconv.Atoi(found[1]); n != 2 || err != nil {
		t.Errorf("%d requests, %v", n, err)
	}
}
