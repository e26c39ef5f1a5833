// Package push notifies agents without a visible console of visitors' messages, mentions and threads handed over to them by Web Push (RFC 8030), encrypted for the browser (RFC
// 8291) and signed with this server's VAPID key (RFC 8292).
package push

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/chat"
	"sohbet/server/outbound"
	"sohbet/server/signal"
)

// Store is the part of models.Store that the service uses.
type Store interface {
	ServerKey(ctx context.Context, name string, generate func() (private, public string, err error)) (private, public string, err error)
	SavePush(context.Context, models.PushSubscription) error
	DropPush(ctx context.Context, endpoint string) error
	PushSubscriptions(ctx context.Context, now time.Time) ([]models.PushSubscription, error)
	CountThreads(context.Context) (models.ThreadCounts, error)
	TrimPush(ctx context.Context, now time.Time) error
	Spend(ctx context.Context, name string, now time.Time, every time.Duration, burst int) (ok bool, wait time.Duration, err error)
	RecordConsoles(ctx context.Context, process string, any bool, now time.Time) error
	ConsolesElsewhere(ctx context.Context, process string, now time.Time) (bool, error)
	Agent(id int64) (models.Agent, bool)
}

// Options configure a [Service].
type Options struct {
	Store     Store
	Contact   string                 // PUSH_CONTACT; "" = the URL at which the agent subscribed
	Base      string                 // URL path prefix of this server's pages; "" = the root
	Viewing   func(agent int64) bool // whether an agent has a visible console, on any process that can be reached
	Transport http.RoundTripper      // nil = a transport that connects only to public addresses
	Retry     time.Duration          // delay before a retry if the push service does not specify one; 0 = 5 s
	Log       *slog.Logger
	Now       func() time.Time
}

// Service sends push notifications. It is safe for concurrent use.
type Service struct {
	Options
	process           string // id of this process among those on the same database
	client            *http.Client
	notices           chan chat.Notice
	visibilityChanged signal.Signal // signals that the visibility of consoles changed

	later   sync.WaitGroup // retries in progress
	open    chan struct{}  // semaphore for concurrent requests
	waiting chan struct{}  // semaphore for messages that wait for a retry

	mu                   sync.Mutex
	consoles             map[string]struct{} // sockets with a visible console
	noSubscriptionsUntil time.Time           // until then the list of subscriptions is known to be empty

	silencedUntil map[string]time.Time // by thread and receiver: time until which no further notification is sent; used only by Run's goroutine
}

const (
	keyName            = "vapid"
	pushEvery          = 30 * time.Second // minimum interval per thread
	timeToLive         = 3600             // seconds for which a push service stores a message for an offline browser
	sendTimeout        = 15 * time.Second
	concurrency        = 8
	backlog            = 256 // queued notices; further ones are dropped
	retries            = 2   // all within pushEvery, so that an older message of a thread cannot replace a newer one
	trimEvery          = time.Hour
	noSubscriptionsFor = 2 * time.Second // how late a subscription made at another process may be noticed
	maxSilenced        = 10_000          // maximum number of keys in silencedUntil

	consoleVisible = "push: not sent because a console is visible"
)

// New returns the service. It sends while Run runs.
func New(o Options) *Service {
	if o.Transport == nil {
		o.Transport = outbound.Transport(nil)
	}
	if o.Retry == 0 {
		o.Retry = 5 * time.Second
	}
	return &Service{
		Options: o, process: rand.Text(), notices: make(chan chat.Notice, backlog), visibilityChanged: signal.New(), consoles: make(map[string]struct{}),
		open: make(chan struct{}, concurrency), waiting: make(chan struct{}, backlog),
		silencedUntil: make(map[string]time.Time),
		client:        &http.Client{Transport: o.Transport, Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Key returns the VAPID public key for subscriptions, in base64url.
func (s *Service) Key(ctx context.Context) (string, error) {
	_, public, err := s.keys(ctx)
	return public, err
}

func (s *Service) keys(ctx context.Context) (private, public string, err error) {
	return s.Store.ServerKey(ctx, keyName, webpush.GenerateVAPIDKeys)
}

// Subscription is a browser's push subscription in JSON format.
type Subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256DH string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
	Locale string `json:"locale"`
}

const maxEndpoint = 1024

func (n *Subscription) check() error {
	u, err := url.Parse(n.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(n.Endpoint) > maxEndpoint:
		return apperr.Invalid("endpoint", "endpoint must be the https URL from the browser's push subscription.")
	case len(n.Locale) > models.MaxLocale:
		return apperr.Invalid("locale", "locale must be a language such as tr.")
	}
	if !outbound.MayBePublic(u.Hostname()) {
		return apperr.Invalid("endpoint", "endpoint must be on the public internet.")
	}
	point, err := decode(n.Keys.P256DH)
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(point)
	}
	if err != nil {
		return apperr.Invalid("keys.p256dh", "keys.p256dh must be the browser's public key: 65 bytes in base64url.")
	}
	if secret, err := decode(n.Keys.Auth); err != nil || len(secret) != 16 {
		return apperr.Invalid("keys.auth", "keys.auth must be 16 bytes in base64url.")
	}
	return nil
}

// decode decodes base64url, padded or not.
func decode(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

// Subscribe stores the subscription of an agent's browser until the session ends. contact is this server's URL at which it subscribed.
func (s *Service) Subscribe(ctx context.Context, n Subscription, session string, agent models.AgentID, expires time.Time, contact string) error {
	if err := n.check(); err != nil {
		return err
	}
	err := s.Store.SavePush(ctx, models.PushSubscription{
		Locale: n.Locale, SessionID: session, AgentID: agent, ExpiresAt: expires,
		PushAddress: models.PushAddress{Endpoint: n.Endpoint, P256DH: n.Keys.P256DH, Auth: n.Keys.Auth, Contact: contact},
	})
	s.setNoSubscriptions(time.Time{})
	return err
}

func (s *Service) setNoSubscriptions(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noSubscriptionsUntil = until
}

// isSilenced reports, without querying the database, that a notice need not be sent: there are no subscriptions, or the last notification
// of the thread is too recent. It is called for every message of a visitor.
func (s *Service) isSilenced(key string) bool {
	now := s.Now()
	s.mu.Lock()
	none := within(now, s.noSubscriptionsUntil, noSubscriptionsFor)
	s.mu.Unlock()
	return none || within(now, s.silencedUntil[key], pushEvery)
}

// within reports whether a time lies ahead, by at most a duration: by more only if the clock was set back.
func within(now, until time.Time, most time.Duration) bool {
	left := until.Sub(now)
	return 0 < left && left <= most
}

// silence suppresses further notifications of a thread until a time.
func (s *Service) silence(key string, until time.Time) {
	if len(s.silencedUntil) >= maxSilenced {
		now := s.Now()
		maps.DeleteFunc(s.silencedUntil, func(_ string, until time.Time) bool { return !now.Before(until) })
	}
	if len(s.silencedUntil) < maxSilenced {
		s.silencedUntil[key] = until
	}
}

// Unsubscribe deletes a browser's subscription. It does nothing if there is none.
func (s *Service) Unsubscribe(ctx context.Context, endpoint string) error {
	return s.Store.DropPush(ctx, endpoint)
}

// Notify queues a notice. It never blocks.
func (s *Service) Notify(n chat.Notice) {
	select {
	case s.notices <- n:
	default:
	}
}

// Run sends notifications until ctx ends.
func (s *Service) Run(ctx context.Context) {
	var keeping sync.WaitGroup
	keeping.Go(func() { s.keepConsoles(ctx) })
	defer keeping.Wait()
	defer s.later.Wait()
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-trim.C:
			if err := s.Store.TrimPush(ctx, s.Now()); err != nil {
				s.Log.Debug("push: failed to delete expired subscriptions", "error", err)
			}
		case n := <-s.notices:
			if err := s.sendToAll(ctx, n); err != nil && ctx.Err() == nil {
				// The database is unavailable. The queued notices would fail too, and log a line each.
				s.Log.Warn("push: notifications dropped", "error", err, "messages", 1+s.drop())
			}
		}
	}
}

// drop discards the queued notices and returns their number.
func (s *Service) drop() (dropped int) {
	for {
		select {
		case <-s.notices:
			dropped++
		default:
			return dropped
		}
	}
}

// topicOf derives a pseudonym for a thread that is sent to push services and browsers: a later message replaces an earlier one with the
// same topic, and a console, which knows the threads, finds the one that a clicked notification belongs to (push-click.js computes the
// same value). RFC 8030 §5.4 allows 32 characters of base64url.
func topicOf(threadID string) string {
	sum := sha256.Sum256([]byte("sohbet push topic\n" + threadID))
	return hex.EncodeToString(sum[:16])
}
