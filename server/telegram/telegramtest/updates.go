package telegramtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// update is an update that waits to be fetched or delivered.
type update struct {
	id     int
	kind   string
	body   json.RawMessage
	forced bool // delivered again whatever the offset is
}

// known holds every type of update; those that are true are sent unless allowed_updates says otherwise.
var known = map[string]bool{
	"message": true, "edited_message": true, "channel_post": true, "edited_channel_post": true, "business_connection": true, "business_message": true,
	"edited_business_message": true, "deleted_business_messages": true, "message_reaction": false, "message_reaction_count": false,
	"inline_query": true, "chosen_inline_result": true, "callback_query": true, "shipping_query": true, "pre_checkout_query": true,
	"purchased_paid_media": true, "poll": true, "poll_answer": true, "my_chat_member": true, "chat_member": false, "chat_join_request": true,
	"chat_boost": true, "removed_chat_boost": true,
}

func defaultKinds() map[string]bool {
	kinds := map[string]bool{}
	for kind, unasked := range known {
		if unasked {
			kinds[kind] = true
		}
	}
	return kinds
}

// allow applies allowed_updates, which stays in force until a call sends another list.
func (s *Server) allow(c *Call) *refusal {
	var list []string
	if no := c.decode("allowed_updates", &list); no != nil {
		return no
	}
	if text := c.Params["allowed_updates"]; text == "" || text == "null" {
		return nil
	}
	kinds := map[string]bool{}
	for _, kind := range list {
		if _, ok := known[kind]; !ok {
			return bad("unknown update type %q in allowed_updates", kind) // the real server ignores unknown types without an error
		}
		kinds[kind] = true
	}
	if len(kinds) == 0 {
		kinds = defaultKinds()
	}
	s.kinds = kinds
	return nil
}

// enqueue adds an update if the bot asked for its type and returns its id, or 0 if it did not. s.mu must be held.
func (s *Server) enqueue(kind string, what any) int {
	if !s.kinds[kind] {
		return 0
	}
	id := s.nextID
	s.nextID++
	body, err := json.Marshal(map[string]any{"update_id": id, kind: what})
	if err != nil {
		s.complain(kind, "telegramtest cannot encode its update: "+err.Error())
		return 0
	}
	s.updates = append(s.updates, update{id: id, kind: kind, body: body})
	s.touch()
	return id
}

// getUpdates waits for updates up to the timeout of the call. A newer call ends the older one with a conflict.
func (s *Server) getUpdates(ctx context.Context, c *Call) (any, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webhook != nil {
		return nil, conflict("can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
	}
	offset, no := c.number("offset")
	if no != nil {
		return nil, no
	}
	limit, no := c.number("limit")
	if no != nil || limit < 0 || limit > 100 {
		return nil, bad("invalid limit specified")
	}
	timeout, no := c.number("timeout")
	if no != nil || timeout < 0 {
		return nil, bad("invalid timeout specified")
	}
	if no := s.allow(c); no != nil {
		return nil, no
	}
	if limit == 0 {
		limit = 100
	}
	if s.poller != nil {
		close(s.poller)
	}
	mine := make(chan struct{})
	s.poller = mine
	s.touch()
	defer func() {
		if s.poller == mine {
			s.poller = nil
		}
	}()
	s.confirm(int(offset))
	return s.fetch(ctx, mine, int(limit), time.Duration(min(timeout, 50))*time.Second)
}

// Polled reports whether a getUpdates call is waiting.
func (s *Server) Polled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poller != nil
}

// confirm removes the updates before offset. A negative offset keeps that many of the newest instead.
func (s *Server) confirm(offset int) {
	if offset < 0 {
		if n := len(s.updates) + offset; n > 0 {
			s.updates = s.updates[n:]
		}
		return
	}
	kept := s.updates[:0:0]
	for _, u := range s.updates {
		if u.id >= offset || u.forced {
			kept = append(kept, u)
		}
	}
	s.updates = kept
}

// fetch returns the pending updates, or waits for one. s.mu must be held; fetch releases it while it waits.
func (s *Server) fetch(ctx context.Context, mine chan struct{}, limit int, timeout time.Duration) (any, *refusal) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for over := timeout == 0; ; {
		if len(s.updates) > 0 || over {
			batch := make([]json.RawMessage, 0, limit)
			kept := s.updates[:0:0]
			for i, u := range s.updates {
				if i < limit {
					batch = append(batch, u.body)
					if u.forced {
						continue // a forced update is sent only once
					}
				}
				kept = append(kept, u)
			}
			s.updates = kept
			return batch, nil
		}
		changed := s.changed
		s.mu.Unlock()
		taken := false
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-s.closing:
			over = true
		case <-ctx.Done():
			over = true
		case <-mine:
			taken = true
		}
		s.mu.Lock()
		switch {
		case taken && s.down:
			panic(http.ErrAbortHandler)
		case taken && s.webhook != nil:
			return nil, conflict("terminated by setWebhook request")
		case taken:
			return nil, conflict("terminated by other getUpdates request; make sure that only one bot instance is running")
		}
	}
}

func conflict(text string) *refusal {
	return &refusal{code: http.StatusConflict, text: "Conflict: " + text}
}

// webhook is the URL to which updates are delivered instead of being fetched.
type webhook struct {
	url, secret string
	stop        chan struct{}
	failure     string
	failedAt    time.Time
	connections int64
}

func (s *Server) setWebhook(c *Call) (any, *refusal) {
	target := c.Params["url"]
	if target == "" {
		return s.deleteWebhook(c)
	}
	u, err := url.Parse(target)
	switch {
	case err != nil || u.Host == "":
		return nil, bad("bad webhook: invalid webhook URL specified")
	case s.opts.HTTPWebhook && (u.Scheme == "http" || u.Scheme == "https"):
	case u.Scheme != "https":
		return nil, bad("bad webhook: An HTTPS URL must be provided for webhook")
	case !contains([]string{"", "443", "80", "88", "8443"}, u.Port()):
		return nil, bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
	}
	secret := c.Params["secret_token"]
	if secret != "" && !word(secret, 256, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") {
		return nil, bad("secret token contains unallowed characters")
	}
	connections, no := c.number("max_connections")
	if no != nil || connections < 0 || connections > 100 {
		return nil, bad("invalid max_connections specified")
	}
	if no := s.allow(c); no != nil {
		return nil, no
	}
	if c.flag("drop_pending_updates") {
		s.updates = nil
	}
	s.unhook()
	s.webhook = &webhook{url: target, secret: secret, stop: make(chan struct{}), connections: max(connections, 1)}
	if s.poller != nil {
		close(s.poller)
		s.poller = nil
	}
	hook := s.webhook
	s.hooks.Go(func() { s.deliver(hook) })
	return true, nil
}

func (s *Server) deleteWebhook(c *Call) (any, *refusal) {
	if c.flag("drop_pending_updates") {
		s.updates = nil
	}
	s.unhook()
	return true, nil
}

// unhook removes the webhook and stops its delivery. s.mu must be held.
func (s *Server) unhook() {
	if s.webhook != nil {
		close(s.webhook.stop)
		s.webhook = nil
		s.touch()
	}
}

// Unhook removes the webhook as if another client had called deleteWebhook.
func (s *Server) Unhook() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unhook()
}

// Hook sets a webhook as if another client with the bot's token had called setWebhook.
func (s *Server) Hook(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unhook()
	s.webhook = &webhook{url: url, stop: make(chan struct{}), connections: 1}
}

func (s *Server) getWebhookInfo(*Call) (any, *refusal) {
	info := map[string]any{"url": "", "has_custom_certificate": false, "pending_update_count": len(s.updates)}
	if h := s.webhook; h != nil {
		info["url"], info["max_connections"] = h.url, h.connections
		if h.failure != "" {
			info["last_error_date"], info["last_error_message"] = h.failedAt.Unix(), h.failure
		}
	}
	return info, nil
}

// deliver posts the updates in order, each until the webhook answers with a 2xx status.
func (s *Server) deliver(h *webhook) {
	client := &http.Client{Timeout: 10 * time.Second}
	wait := 50 * time.Millisecond
	for {
		s.mu.Lock()
		changed := s.changed
		var next *update
		if len(s.updates) > 0 {
			next = &s.updates[0]
		}
		s.mu.Unlock()
		if next == nil {
			select {
			case <-changed:
				continue
			case <-h.stop:
				return
			}
		}
		failure := post(client, h.url, h.secret, next.body)
		s.mu.Lock()
		h.failure, h.failedAt = failure, time.Now()
		if failure == "" && len(s.updates) > 0 && s.updates[0].id == next.id {
			s.updates = s.updates[1:]
		}
		s.touch()
		s.mu.Unlock()
		if failure == "" {
			wait = 50 * time.Millisecond
			continue
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		case <-h.stop:
			return
		}
	}
}

// post makes one delivery attempt and returns its error in Telegram's wording, "" if it succeeded.
func post(client *http.Client, target, secret string, body []byte) string {
	request, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	if secret != "" {
		request.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
	}
	response, err := client.Do(request)
	if err != nil {
		return strings.TrimPrefix(err.Error(), "Post ")
	}
	defer func() { _ = response.Body.Close() }() // the body is not read
	if response.StatusCode/100 != 2 {
		return fmt.Sprintf("Wrong response from the webhook: %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	return ""
}

// Lose drops the updates that wait to be fetched, as Telegram does after 24 hours.
func (s *Server) Lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates = nil
	s.touch()
}

// Redeliver sends the update of this message again with its old update id, as after a lost confirmation.
func (s *Server) Redeliver(messageID int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.carriers[messageID]
	if !ok {
		s.complain("redeliver", fmt.Sprintf("message %d never reached the bot", messageID))
		return
	}
	u.forced = true
	s.updates = append(s.updates, u)
	s.touch()
}

// Pending returns the number of updates that wait to be fetched or delivered.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.updates)
}

// Forge posts a message to a webhook as an attacker who guessed its URL and returns the status of the response.
func (s *Server) Forge(target, secret, text string) (int, error) {
	s.mu.Lock()
	from := Operator()
	body, err := json.Marshal(map[string]any{"update_id": s.nextID + 1000, "message": Message{
		ID: 999, From: &from, Chat: s.opts.Chat, Date: time.Now().Unix(), Text: text,
	}})
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if secret != "" {
		request.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// Secret returns the secret token of the current webhook, "" if there is none.
func (s *Server) Secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webhook == nil {
		return ""
	}
	return s.webhook.secret
}

// Hooked returns the URL of the current webhook, "" if there is none.
func (s *Server) Hooked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webhook == nil {
		return ""
	}
	return s.webhook.url
}
