package handlers

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// TestSlowUploadsGiveWay: beyond the limit, the slowest upload that is waiting for its client is aborted; uploads that are being
// processed, have just begun or are fast are not.
func TestSlowUploadsGiveWay(t *testing.T) {
	var u uploads
	now := time.Now()
	body := func(i int, age time.Duration, got int64, reading bool) *arriving {
		b := &arriving{control: http.NewResponseController(httptest.NewRecorder()), address: strconv.Itoa(i), start: now.Add(-age)}
		b.got.Store(got)
		b.reading.Store(reading)
		return b
	}
	list := []*arriving{
		body(0, time.Minute, 60, false),           // being processed
		body(1, time.Second, 0, true),             // has just begun
		body(2, time.Minute, 60*slowUpload, true), // fast
		body(3, time.Minute, 60*9000, true),
		body(4, time.Minute, 60*8000, true),
	}
	for i := len(list); i < maxUploads; i++ {
		list = append(list, body(i, time.Second, 0, true))
	}
	for i, b := range list {
		if !u.enter(b) {
			t.Fatalf("%d is refused", i)
		}
	}
	for i, want := range []int{4, 3, -1} {
		if ok := u.enter(body(100+i, 0, 0, true)); ok != (want >= 0) {
			t.Errorf("one more: %v", ok)
		}
		for k, b := range list {
			if cut := b.cut.Load(); cut != (k == 4 || k == 3 && i > 0) {
				t.Errorf("after %d more, %d is cut off: %v", i+1, k, cut)
			}
		}
	}
	if _, err := list[4].Read(make([]byte, 1)); err == nil {
		t.Error("what is cut off reads on")
	}
	for _, b := range list {
		u.leave(b)
	}
	for i := range maxUploadsPerAddress + 1 {
		if ok := u.enter(body(7, 0, 0, true)); ok != (i < maxUploadsPerAddress) {
			t.Errorf("upload %d of one address: %v", i+1, ok)
		}
	}
}
