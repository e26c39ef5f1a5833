package handlers

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/server/auth"
	"sohbet/server/media"
)

const (
	slowest   = 4 << 10 // bytes a second that a connection has to carry on average
	stallTime = 30 * time.Second

	// How many uploads may arrive at one time, in all and from one address. Beyond the first number the slowest one is cut off,
	// if it had graceTime and is slower than slowUpload in bytes a second; so slow senders cannot keep others out.
	maxUploads, maxUploadsPerAddress = 64, 10
	graceTime                        = 10 * time.Second
	slowUpload                       = 64 << 10
	uploadPause                      = 10 * time.Second // after which a refused one may try again
	// drainTime is how long the rest of a refused upload is read, since a sender that is cut off while it sends never sees the answer.
	drainTime = time.Minute
)

func patience(bytes int64) time.Duration {
	return stallTime + time.Duration(bytes/slowest)*time.Second
}

// Patiently reads a body for as long as it makes progress, where other requests have a fixed time: every read must bring
// something within half a minute, and all of it 4 KB a second. It bounds how many such bodies there are.
func (a *API) Patiently(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		body := &arriving{ReadCloser: r.Body, control: http.NewResponseController(c.Response()), address: auth.AddressKey(a.Address(r)),
			start: time.Now(), stall: a.UploadStall}
		if body.stall == 0 {
			body.stall = stallTime
		}
		r.Body = body
		err := error(tooMany(uploadPause))
		if a.uploads.enter(body) {
			err = next(c)
			a.uploads.leave(body)
		}
		if err != nil {
			body.end = time.Now().Add(drainTime)
			_, _ = io.CopyN(io.Discard, body, 2*media.Limit(media.Any)) // a client that sends more is cut off
		}
		_ = body.control.SetWriteDeadline(time.Now().Add(stallTime))
		return err
	}
}

// arriving is the body of an upload.
type arriving struct {
	io.ReadCloser
	control *http.ResponseController
	address string
	start   time.Time
	stall   time.Duration
	end     time.Time // of reading; zero = it depends on what comes

	got     atomic.Int64
	reading atomic.Bool // waits for its sender
	cut     atomic.Bool
}

var errCut = errors.New("cut off in favour of a faster upload")

func (r *arriving) Read(b []byte) (int, error) {
	until := time.Now().Add(r.stall)
	if last := r.start.Add(r.stall + time.Duration(r.got.Load()/slowest)*time.Second); last.Before(until) {
		until = last
	}
	if !r.end.IsZero() && r.end.Before(until) {
		until = r.end
	}
	_ = r.control.SetReadDeadline(until)                       // test recorders support no deadlines and never block
	_ = r.control.SetWriteDeadline(until.Add(4 * time.Minute)) // it waits for its turn, and is checked
	r.reading.Store(true)
	defer r.reading.Store(false)
	if r.cut.Load() { // after the deadline is set, which abort sets too
		return 0, errCut
	}
	n, err := r.ReadCloser.Read(b)
	r.got.Add(int64(n))
	return n, err
}

func (r *arriving) abort() {
	r.cut.Store(true)
	_ = r.control.SetReadDeadline(time.Now())
}

// uploads are the bodies that arrive. The zero value is ready.
type uploads struct {
	mu   sync.Mutex
	open map[*arriving]struct{}
}

// enter admits a body, unless its address has enough of them or there are too many and none is slow.
func (u *uploads) enter(b *arriving) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	same, left := 0, 0
	var slow *arriving
	least := float64(slowUpload)
	for o := range u.open {
		if o.address == b.address {
			same++
		}
		if o.cut.Load() {
			continue // is about to leave
		}
		left++
		age := b.start.Sub(o.start)
		if rate := float64(o.got.Load()) / age.Seconds(); age > graceTime && o.reading.Load() && rate < least {
			slow, least = o, rate
		}
	}
	if same >= maxUploadsPerAddress {
		return false
	}
	if left >= maxUploads {
		if slow == nil {
			return false
		}
		slow.abort()
	}
	if u.open == nil {
		u.open = make(map[*arriving]struct{})
	}
	u.open[b] = struct{}{}
	return true
}

func (u *uploads) leave(b *arriving) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, b)
}
