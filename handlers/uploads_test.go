package handlers_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/handlers"
	"sohbet/models/storetest"
	"sohbet/server/audit"
	"sohbet/server/disk"
	"sohbet/server/media"
	"sohbet/server/media/mediatest"
	"sohbet/server/metrics"
)

// serveUploads serves only the upload route, with a short timeout.
func serveUploads(t *testing.T, stall time.Duration) *httptest.Server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store := storetest.Open(t, "sqlite")
	files, err := media.New(media.Options{Dir: filepath.Join(t.TempDir(), "uploads"), Limit: 1 << 30, Free: disk.New(disk.Options{Dir: "."}).Free, Store: store, Log: log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	a := handlers.New(handlers.Options{
		Numbers: metrics.New(time.Now),
		Store:   store, Media: files, UploadStall: stall, Audit: audit.New(log, time.Now, nil), Log: log, Now: time.Now,
		Address: func(*http.Request) string { return "192.0.2.1" },
	})
	e := echo.New()
	e.HTTPErrorHandler = a.RenderError
	e.POST("/api/upload/image", a.Upload(media.Image), a.WithUploadTimeout)
	s := httptest.NewServer(e)
	t.Cleanup(func() {
		s.Close()
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestUploadHasTimeWhileItMakesProgress(t *testing.T) {
	const stall = 1500 * time.Millisecond // long enough that delays on a busy machine do not matter
	s := serveUploads(t, stall)
	photo := mediatest.JPEG(t, mediatest.Picture(300, 200, 255))
	body := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n" + string(photo) + "\r\n--x--\r\n"
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST /api/upload/image HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n", len(body)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	answer := func(conn net.Conn) int {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	still := dial() // sends half of the body, and then nothing
	if _, err := still.Write([]byte(body[:len(body)/2])); err != nil {
		t.Fatal(err)
	}
	if status := answer(still); status != http.StatusBadRequest {
		t.Errorf("an upload that stalls: %d", status)
	}
	slow := dial() // takes four times the timeout in total
	tick := time.NewTicker(stall / 10)
	defer tick.Stop()
	const pieces = 40
	for i := range pieces {
		if _, err := slow.Write([]byte(body[i*len(body)/pieces : (i+1)*len(body)/pieces])); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	if status := answer(slow); status != http.StatusOK {
		t.Errorf("a slow upload: %d", status)
	}
}

// TestUploadsOfOneAddressAreCounted: a client with ten unfinished uploads has to finish one before starting another.
func TestUploadsOfOneAddressAreCounted(t *testing.T) {
	s := serveUploads(t, 20*time.Second)
	const head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n"
	post := func(length int) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST /api/upload/image HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s", length, head); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	var open []net.Conn
	for range 10 {
		open = append(open, post(1000))
	}
	// A request that is not a form is answered immediately: with a form error if it was admitted, with 429 if there are too many.
	status := func() (int, string) {
		t.Helper()
		conn := post(len(head))
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode, res.Header.Get("Retry-After")
	}
	until := func(want int, between func()) string {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			got, after := status()
			if got == want {
				return after
			}
			if time.Now().After(deadline) {
				t.Fatalf("answered %d, want %d", got, want)
			}
			between()
			time.Sleep(20 * time.Millisecond)
		}
	}
	// An admitted probe counts too while it is answered, and may have one of the held uploads refused: then one more is held.
	hold := func() { open = append(open, post(1000)) }
	if after := until(http.StatusTooManyRequests, hold); after == "" { // once all ten have arrived
		t.Error("a refusal says nothing of when to try again")
	}
	for _, conn := range open {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	until(http.StatusBadRequest, func() {})
}
