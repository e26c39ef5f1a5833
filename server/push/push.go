// Package push tells agents who look elsewhere that a visitor has written: by Web Push (RFC 8030), encrypted for their browser
// (RFC 8291) and signed with this server's key (RFC 8292).
package push

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/outbound"
)

// Store is what the service needs of models.Store.
type Store interface {
	ServerKey(ctx context.Context, name string, generate func() (private, public string, err error)) (private, public string, err error)
	SavePush(context.Context, models.PushSubscription) error
	DropPush(ctx context.Context, endpoint string) error
	PushSubscriptions(ctx context.Context, now time.Time) ([]models.PushSubscription, error)
	CountThreads(context.Context) (models.ThreadCounts, error)
	TrimPush(ctx context.Context, now time.Time) error
	Spend(ctx context.Context, name string, now time.Time, every time.Duration, burst int) (ok bool, wait time.Duration, err error)
	NoteConsoles(ctx context.Context, process string, any bool, now time.Time) error
	ConsolesElsewhere(ctx context.Context, process string, now time.Time) (bool, error)
}

// Options are the parts of a [Service].
type Options struct {
	Store     Store
	Text      func(locale, key string) string // of the locale files, "section.name"
	Contact   string                          // PUSH_CONTACT; "" = the address through which the agent subscribed
	Base      string                          // the path that this server's pages are below; "" = the root
	Transport http.RoundTripper               // nil = one that reaches public addresses alone
	Retry     time.Duration                   // before the next try where a push service does not say when; 0 = 5 s
	Log       *slog.Logger
	Now       func() time.Time
}

// Service sends pushes. Its methods may be called from any goroutine.
type Service struct {
	Options
	process string // this one, among those on the same database
	client  *http.Client
	notices chan chat.Notice
	turned  chan struct{} // consoles came into view, or went out of it

	later   sync.WaitGroup // tries after the first
	open    chan struct{}  // has a place for each request
	waiting chan struct{}  // and for each message that waits for its next try

	mu       sync.Mutex
	consoles map[string]struct{} // sockets of consoles in view
	nobody   time.Time           // until when no browser is known to want pushes

	told map[string]time.Time // by topic, until when nothing new is told; Run's goroutine alone has it
}

const (
	keyName     = "vapid"
	pushEvery   = 30 * time.Second // for each thread
	timeToLive  = 3600             // seconds for which a push service keeps a message for a browser that is off
	sendTimeout = 15 * time.Second
	atOnce      = 8
	backlog     = 256 // notices; a flood's rest is not told
	retries     = 2   // tries after the first, all within pushEvery: a thread's next message is not to be replaced by an older one
	trimEvery   = time.Hour
	nobodyFor   = 2 * time.Second // how late a subscription at another process may be heard of
	toldKept    = 10_000          // threads

	whileLooking = "push: an agent is looking, so none is told"
)

// New makes the service. It sends once Run runs.
func New(o Options) *Service {
	if o.Transport == nil {
		o.Transport = outbound.Transport(nil)
	}
	if o.Retry == 0 {
		o.Retry = 5 * time.Second
	}
	return &Service{
		Options: o, process: rand.Text(), notices: make(chan chat.Notice, backlog), turned: make(chan struct{}, 1), consoles: make(map[string]struct{}),
		open: make(chan struct{}, atOnce), waiting: make(chan struct{}, backlog),
		told:   make(map[string]time.Time),
		client: &http.Client{Transport: o.Transport, Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Key is the public key for which browsers subscribe, in base64url.
func (s *Service) Key(ctx context.Context) (string, error) {
	_, public, err := s.keys(ctx)
	return public, err
}

func (s *Service) keys(ctx context.Context) (private, public string, err error) {
	return s.Store.ServerKey(ctx, keyName, webpush.GenerateVAPIDKeys)
}

// Subscription is what a browser's PushManager gave out.
type Subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256DH string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
	Locale string `json:"locale"`
}

const maxEndpoint = 1024

func invalid(field, message string) error {
	return &chat.Error{Code: chat.CodeValidation, Field: field, Message: message, Status: http.StatusBadRequest}
}

func (n *Subscription) check() error {
	u, err := url.Parse(n.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(n.Endpoint) > maxEndpoint:
		return invalid("endpoint", "endpoint must be the https address that the browser's PushManager gave.")
	case len(n.Locale) > models.MaxLocale:
		return invalid("locale", "locale must be a language such as tr.")
	}
	if !outbound.MayBePublic(u.Hostname()) {
		return invalid("endpoint", "endpoint must be on the internet.")
	}
	point, err := decode(n.Keys.P256DH)
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(point)
	}
	if err != nil {
		return invalid("keys.p256dh", "keys.p256dh must be the browser's public key: 65 bytes in base64url.")
	}
	if secret, err := decode(n.Keys.Auth); err != nil || len(secret) != 16 {
		return invalid("keys.auth", "keys.auth must be 16 bytes in base64url.")
	}
	return nil
}

// decode reads base64url, padded or not.
func decode(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

// Subscribe takes a browser in until the session ends. contact is the address through which it came.
func (s *Service) Subscribe(ctx context.Context, n Subscription, session string, expires time.Time, contact string) error {
	if err := n.check(); err != nil {
		return err
	}
	err := s.Store.SavePush(ctx, models.PushSubscription{
		Locale: n.Locale, SessionID: session, ExpiresAt: expires,
		PushAddress: models.PushAddress{Endpoint: n.Endpoint, P256DH: n.Keys.P256DH, Auth: n.Keys.Auth, Contact: contact},
	})
	s.setNobody(time.Time{})
	return err
}

func (s *Service) setNobody(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nobody = until
}

// settled tells, without asking the database, that a notice is for nobody: no browser wants any, or the thread's last one is too
// fresh. Every message of a visitor comes by here.
func (s *Service) settled(topic string) bool {
	now := s.Now()
	s.mu.Lock()
	nobody := now.Before(s.nobody)
	s.mu.Unlock()
	return nobody || now.Before(s.told[topic])
}

// hush notes until when nothing new is told of a thread.
func (s *Service) hush(topic string, until time.Time) {
	if len(s.told) >= toldKept {
		now := s.Now()
		maps.DeleteFunc(s.told, func(_ string, until time.Time) bool { return !now.Before(until) })
	}
	if len(s.told) < toldKept {
		s.told[topic] = until
	}
}

// Unsubscribe lets a browser go. One that is not known is gone already.
func (s *Service) Unsubscribe(ctx context.Context, endpoint string) error {
	return s.Store.DropPush(ctx, endpoint)
}

// Notify queues the news of a visitor's message. It never blocks.
func (s *Service) Notify(n chat.Notice) {
	select {
	case s.notices <- n:
	default:
	}
}

// Run sends until ctx ends.
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
				s.Log.Debug("push: what is over was not deleted", "error", err)
			}
		case n := <-s.notices:
			if err := s.tell(ctx, n); err != nil && ctx.Err() == nil {
				// The database is away. What waits would fare the same, and each try would fill the log.
				s.Log.Warn("push: agents were not told of messages", "error", err, "messages", 1+s.drop())
			}
		}
	}
}

// drop forgets the notices that wait and returns how many they were.
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

// tell sends a notice to all browsers, unless an agent is looking or heard of the thread a moment ago. Its error is the database's.
func (s *Service) tell(ctx context.Context, n chat.Notice) error {
	topic := topicOf(n.ThreadID)
	if s.settled(topic) {
		return nil
	}
	if s.here() {
		s.Log.Debug(whileLooking)
		return nil
	}
	s.setNobody(s.Now().Add(nobodyFor)) // before the list is read, so that who subscribes meanwhile is not passed over
	list, err := s.Store.PushSubscriptions(ctx, s.Now())
	if err != nil || len(list) > 0 {
		s.setNobody(time.Time{})
	}
	if err != nil || len(list) == 0 {
		return err
	}
	if looking, err := s.looking(ctx); err != nil {
		return err
	} else if looking {
		s.Log.Debug(whileLooking)
		return nil
	}
	until := time.Now().Add(pushEvery)
	ok, wait, err := s.Store.Spend(ctx, "push:"+topic, s.Now(), pushEvery, 1)
	if err != nil {
		return err
	}
	if !ok {
		s.hush(topic, s.Now().Add(wait))
		return nil
	}
	s.hush(topic, s.Now().Add(pushEvery))
	private, public, err := s.keys(ctx)
	if err != nil {
		return err
	}
	counts, err := s.Store.CountThreads(ctx)
	if err != nil {
		return err
	}
	var first sync.WaitGroup
	for _, to := range list {
		send := func(ctx context.Context) error { return s.send(ctx, to, n, counts.Unread, topic, private, public) }
		s.open <- struct{}{}
		first.Go(func() {
			err := send(ctx)
			<-s.open
			if failed, ok := errors.AsType[notNow](err); ok {
				s.later.Go(func() { s.sent(ctx, s.again(ctx, failed, until, send)) })
				return
			}
			s.sent(ctx, err)
		})
	}
	first.Wait()
	return nil
}

// topicOf names a thread to push services and browsers, without telling which it is: a later message takes the place of an
// earlier one with its name, and consoles, which know the threads, find the one that a pressed notification is of (pressed.js
// makes the same). RFC 8030 §5.4 allows 32 characters of base64url.
func topicOf(threadID string) string {
	sum := sha256.Sum256([]byte("sohbet push topic\n" + threadID))
	return hex.EncodeToString(sum[:16])
}
