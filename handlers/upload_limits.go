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
	"sohbet/server/chat"
	"sohbet/server/media"
)

const (
	slowest   = 4 << 10 // minimum average bytes per second
	stallTime = 30 * time.Second

	// Maximum number of concurrent uploads in total and per address. Beyond the total the slowest upload is aborted, if it is older
	// than graceTime and slower than slowUpload (bytes per second), so that slow senders cannot block others.
	maxUploads, maxUploadsPerAddress = 64, 10
	graceTime                        = 10 * time.Second
	slowUpload                       = 64 << 10
	uploadPause                      = 10 * time.Second // Retry-After of a refused upload
	// drainTime is how long the rest of a refused upload is read: a client whose connection is closed while sending never sees the
	// response.
	drainTime = time.Minute
)

func uploadTimeout(bytes int64) time.Duration {
	return stallTime + time.Duration(bytes/slowest)*time.Second
}

// WithUploadTimeout is middleware that lets the body be read as long as it makes progress, instead of the fixed read timeout: every read must
// return data within UploadStall, and the average must be at least 4 KB/s. It also limits the number of such bodies.
func (a *API) WithUploadTimeout(next echo.HandlerFunc) echo.HandlerFunc {
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
			_, _ = io.CopyN(io.Discard, body, 2*media.Limit(media.Any)) // a client that sends more is disconnected
		}
		_ = body.control.SetWriteDeadline(time.Now().Add(stallTime))
		return err
	}
}

// arriving is the body of an upload in progress.
type arriving struct {
	io.ReadCloser
	control *http.ResponseController
	address string
	start   time.Time
	stall   time.Duration
	end     time.Time // absolute read deadline; zero = none

	got     atomic.Int64
	reading atomic.Bool // blocked reading from the client
	cut     atomic.Bool
}

var errCut = errors.New("aborted in favour of a faster upload")

func (r *arriving) Read(b []byte) (int, error) {
	until := time.Now().Add(r.stall)
	if last := r.start.Add(r.stall + time.Duration(r.got.Load()/slowest)*time.Second); last.Before(until) {
		until = last
	}
	if !r.end.IsZero() && r.end.Before(until) {
		until = r.end
	}
	_ = r.control.SetReadDeadline(until)                       // test recorders support no deadlines, and never block
	_ = r.control.SetWriteDeadline(until.Add(4 * time.Minute)) // leaves time for queueing and processing
	r.reading.Store(true)
	defer r.reading.Store(false)
	if r.cut.Load() { // after setting the deadline, because abort sets it too
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

// uploads are the uploads in progress. The zero value is ready to use.
type uploads struct {
	mu   sync.Mutex
	open map[*arriving]struct{}
}

// enter registers an upload. It reports false if its address has too many, or if there are too many in total and none is slow enough to
// abort.
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
			continue // about to end
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

// LimitUploads is middleware that applies RATE_LIMIT_UPLOAD per address, and refuses blocked addresses unless an agent is signed in.
func (a *API) LimitUploads(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := a.admitUpload(c); err != nil {
			return err
		}
		return next(c)
	}
}

// admitUpload returns an error for blocked addresses and for those over the limit.
func (a *API) admitUpload(c echo.Context) error {
	if ok, wait := a.UploadLimit.Allow("", auth.AddressKey(a.Address(c.Request()))); !ok {
		return tooMany(wait)
	}
	return a.admitSender(c)
}

func (a *API) admitSender(c echo.Context) error {
	if _, isAgent := a.agent(c); isAgent {
		return nil
	}
	return a.Chat.Admit(c.Request().Context(), chat.Actor{Role: chat.Visitor, Address: auth.AddressKey(a.Address(c.Request()))})
}
