package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

func TestPanicBecomesAnErrorWithItsStackInTheLog(t *testing.T) {
	var out bytes.Buffer
	s := &Server{log: slog.New(slog.NewJSONHandler(&out, nil))}
	c := echo.New().NewContext(httptest.NewRequest("GET", "/", nil), httptest.NewRecorder())
	if err := s.recovered(func(echo.Context) error { panic("broken") })(c); err == nil {
		t.Error("the panic is lost")
	}
	if !strings.Contains(out.String(), "middleware_test.go") {
		t.Errorf("no stack in %s", out.String())
	}
	defer func() {
		if recover() != http.ErrAbortHandler { // the panic value must be passed on unchanged
			t.Error("http.ErrAbortHandler must go on: it cuts the connection")
		}
	}()
	_ = s.recovered(func(echo.Context) error { panic(http.ErrAbortHandler) })(c)
}

func TestSocketPaths(t *testing.T) {
	for path, want := range map[string]bool{"/socket.io/": true, "/socket.io": true, "/socket.io/socket.io.js": false, "/": false, "/socket.iox": false} {
		if isSocket(path) != want {
			t.Errorf("%s: want %v", path, want)
		}
	}
}
