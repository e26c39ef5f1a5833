package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"sohbet/assets/locales"
	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/outbound"
)

// notNow is a failure that may be temporary.
type notNow struct {
	error
	wait time.Duration
}

// again retries a temporary failure up to retries times before until, unless an agent's console becomes visible or too many messages
// are waiting. It returns the last error.
func (s *Service) again(ctx context.Context, failed notNow, until time.Time, to models.AgentID, send func(context.Context) error) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for range retries {
		if failed.wait > time.Until(until) || !s.pause(ctx, failed.wait) {
			return failed
		}
		if looking, err := s.looking(ctx, to); err == nil && looking {
			return nil
		}
		s.open <- struct{}{}
		err := send(ctx)
		<-s.open
		if !errors.As(err, &failed) {
			return err
		}
	}
	return failed
}

// sent logs a failed notification.
func (s *Service) sent(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("push: notification not delivered", "error", err)
	}
}

// pause waits for a retry. It reports false if too many messages are waiting or ctx ended.
func (s *Service) pause(ctx context.Context, wait time.Duration) bool {
	select {
	case s.waiting <- struct{}{}:
	default:
		return false
	}
	defer func() { <-s.waiting }()
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}

// payload is what the service worker shows.
type payload struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Tag   string `json:"tag"`
	URL   string `json:"url"`

	Unread int64 `json:"unread"` // messages not read by any agent, for the badge of an installed console
}

// titles are the texts of titles, by the kind of a notice.
var titles = map[string]string{"": "push.title", chat.NotifiedMention: "push.mention", chat.NotifiedAssigned: "push.assigned"}

func (s *Service) send(ctx context.Context, to models.PushSubscription, n chat.Notice, unread int64, topic, private, public string) error {
	body := n.Preview
	if body == "" {
		body = locales.Text(to.Locale, "push.kind_"+n.ContentType)
	}
	title := strings.NewReplacer("{name}", n.DisplayName, "{by}", n.By).Replace(locales.Text(to.Locale, titles[n.Kind]))
	text, err := json.Marshal(payload{Title: title, Body: body, Tag: topic, URL: s.Base + "/admin", Unread: unread})
	if err != nil {
		return err
	}
	contact := s.Contact
	if contact == "" {
		contact = to.Contact
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r, err := webpush.SendNotificationWithContext(ctx, text, &webpush.Subscription{Endpoint: to.Endpoint, Keys: webpush.Keys{P256dh: to.P256DH, Auth: to.Auth}}, &webpush.Options{
		HTTPClient: s.client, Subscriber: strings.TrimPrefix(contact, "mailto:"), // the library adds mailto: itself
		Topic: topic, TTL: timeToLive, Urgency: webpush.UrgencyHigh, VAPIDPublicKey: public, VAPIDPrivateKey: private,
	})
	if err != nil {
		return s.undelivered(err)
	}
	defer func() { _ = r.Body.Close() }()
	_, _ = io.CopyN(io.Discard, r.Body, 4<<10) // so that the connection can be reused
	switch {
	case r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusGone:
		return s.Store.DropPush(ctx, to.Endpoint)
	case r.StatusCode == http.StatusTooManyRequests || r.StatusCode >= 500:
		return notNow{fmt.Errorf("the push service responded with %d", r.StatusCode), s.wait(r.Header.Get("Retry-After"))}
	case r.StatusCode >= 300:
		return fmt.Errorf("the push service responded with %d", r.StatusCode)
	}
	return nil
}

// wait parses a Retry-After header (RFC 9110 §10.2.3), which push services send according to RFC 8030 §8.4.
func (s *Service) wait(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(s.Now()), 0)
	}
	return s.Retry
}

// undelivered removes the URL from an error, because it is a secret that allows sending to the browser. It marks network errors as
// temporary.
func (s *Service) undelivered(err error) error {
	var onTheWay *url.Error
	switch {
	case !errors.As(err, &onTheWay):
		return err
	case errors.Is(err, outbound.ErrNotPublic):
		return onTheWay.Err
	default:
		return notNow{onTheWay.Err, s.Retry}
	}
}

// sendToAll sends a notice to the subscribed browsers of its receivers, unless they have a visible console or their last notification of the
// kind about the thread is recent. It returns only database errors.
func (s *Service) sendToAll(ctx context.Context, n chat.Notice) error {
	topic := topicOf(n.ThreadID)
	key := topic
	if n.To != 0 {
		key = fmt.Sprint(topic, " ", n.To, n.Kind)
	}
	if s.isSilenced(key) {
		return nil
	}
	if s.lookingHere(n.To) {
		s.Log.Debug(consoleVisible)
		return nil
	}
	s.setNoSubscriptions(s.Now().Add(noSubscriptionsFor)) // before the list is read, so that a subscription made meanwhile is not missed
	list, err := s.Store.PushSubscriptions(ctx, s.Now())
	if err != nil || len(list) > 0 {
		s.setNoSubscriptions(time.Time{})
	}
	list = slices.DeleteFunc(list, func(to models.PushSubscription) bool { return !s.receives(to, n.To) })
	if err != nil || len(list) == 0 {
		return err
	}
	if looking, err := s.looking(ctx, n.To); err != nil {
		return err
	} else if looking {
		s.Log.Debug(consoleVisible)
		return nil
	}
	until := time.Now().Add(pushEvery)
	ok, wait, err := s.Store.Spend(ctx, "push:"+key, s.Now(), pushEvery, 1)
	if err != nil {
		return err
	}
	if !ok {
		s.silence(key, s.Now().Add(wait))
		return nil
	}
	s.silence(key, s.Now().Add(pushEvery))
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
				s.later.Go(func() { s.sent(ctx, s.again(ctx, failed, until, n.To, send)) })
				return
			}
			s.sent(ctx, err)
		})
	}
	first.Wait()
	return nil
}
