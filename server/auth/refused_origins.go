package auth

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	refusedSwitch   = "refused_origin"
	refusedFor      = time.Hour   // how long a refusal is reported
	refusedInterval = time.Minute // minimum interval between log lines
	refusedSave     = 2 * time.Second
	maxRefused      = 100 // maximum length in bytes of a recorded origin or host; longer ones are useless to the operator
)

// Refused is a page that was refused because its origin is neither this server's nor listed.
type Refused struct {
	Origin string    `json:"origin"` // of the page, such as https://chat.example
	Host   string    `json:"host"`   // Host header of the request
	At     time.Time `json:"at"`
}

// Setting returns the configuration that makes the origin this server's own.
func (r Refused) Setting() string { return "PUBLIC_URL=" + r.Origin }

// SwitchStore stores values by name.
type SwitchStore interface {
	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, position string) error
}

// Refusals records the last page that was refused because of its origin. If a proxy changes Host, all pages of this server appear to be
// from another site, and the page itself cannot report that.
type Refusals struct {
	store   SwitchStore
	origins Origins
	log     *slog.Logger
	now     func() time.Time

	mu     sync.Mutex
	last   Refused
	stored time.Time // the At of the last stored value
	logged time.Time
}

// NewRefusals returns Refusals for requests refused by origins.
func NewRefusals(store SwitchStore, origins Origins, log *slog.Logger, now func() time.Time) *Refusals {
	return &Refusals{store: store, origins: origins, log: log, now: now}
}

// Allowed is [Origins.Allowed], and records what it refuses.
func (f *Refusals) Allowed(r *http.Request) bool {
	if f.origins.Allowed(r) {
		return true
	}
	f.Note(r)
	return false
}

// Note records a refused request, and logs at most one per refusedInterval.
func (f *Refusals) Note(r *http.Request) {
	page, ok := parseOrigin(r.Header.Get("Origin"))
	if !ok {
		return
	}
	refused := Refused{Origin: page.short(), Host: r.Host, At: f.now().UTC().Truncate(time.Second)}
	if len(refused.Origin) > maxRefused || len(refused.Host) > maxRefused {
		return
	}
	site := r.Header.Get("Sec-Fetch-Site")
	another := site == "cross-site" || site == "same-site" // the browser knows that the page is from another site
	f.mu.Lock()
	if !another {
		f.last = refused
	}
	due := f.now().Sub(f.logged).Abs() >= refusedInterval
	if due {
		f.logged = f.now()
	}
	f.mu.Unlock()
	if !due {
		return
	}
	cure := "if that site may show the chat, add it to CORS_ORIGINS"
	if !another {
		cure = "if that is this server's own address: " + refused.Setting() + "; or have the proxy pass on Host. If it is another site that may show the chat: add it to CORS_ORIGINS"
	}
	f.log.LogAttrs(r.Context(), slog.LevelWarn, "a page was refused because its origin does not match the host of its request",
		slog.String("origin", refused.Origin), slog.String("host", refused.Host), slog.String("cure", cure))
}

// Run stores the last refusal for other processes and for the doctor until ctx ends.
func (f *Refusals) Run(ctx context.Context) {
	tick := time.NewTicker(refusedSave)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.save(ctx)
		}
	}
}

// save stores at most one refusal per refusedInterval, because unauthenticated clients can cause them.
func (f *Refusals) save(ctx context.Context) {
	f.mu.Lock()
	last, due := f.last, f.last.At.Sub(f.stored) >= refusedInterval
	f.mu.Unlock()
	if !due {
		return
	}
	text, err := json.Marshal(last)
	if err == nil {
		err = f.store.SetSetting(ctx, refusedSwitch, string(text))
	}
	if err != nil {
		f.log.LogAttrs(ctx, slog.LevelDebug, "failed to store a refused origin", slog.Any("error", err))
		return
	}
	f.mu.Lock()
	f.stored = last.At
	f.mu.Unlock()
}

// Last returns the last refusal within the past hour by any process; false if there is none, or if the origin is allowed now.
func (f *Refusals) Last(ctx context.Context) (Refused, bool) {
	f.mu.Lock()
	last := f.last
	f.mu.Unlock()
	if f.now().Sub(last.At).Abs() >= refusedFor {
		stored, err := f.store.Setting(ctx, refusedSwitch)
		if err != nil || json.Unmarshal([]byte(stored), &last) != nil {
			return Refused{}, false
		}
	}
	return last, f.now().Sub(last.At).Abs() < refusedFor && !f.origins.Known(last.Origin)
}
