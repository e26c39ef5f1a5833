package telegram

import (
	"context"
	"fmt"
	"html"
	"log/slog"
	"strconv"
	"strings"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/server/auth"
	"sohbet/server/outbox"
)

// codeWait is how long the request for a code waits for its delivery.
const codeWait = 10 * time.Second

// urgentWait is how long an urgent call waits for the rate limit. After that it is made anyway, and Telegram may refuse it.
const urgentWait = 4 * time.Second

var _ auth.CodeSender = (*Bridge)(nil)

// SendCode sends a one-time code to the operators' chat. Any process may do that. An error means that it was not delivered.
func (b *Bridge) SendCode(ctx context.Context, code string, who auth.Requester) error {
	ctx, cancel := context.WithTimeout(ctx, codeWait)
	defer cancel()
	text := localized(b.locale, "code", "code", html.EscapeString(code), "address", html.EscapeString(who.Address), "browser", html.EscapeString(browser(who.UserAgent)))
	for try := 0; ; try++ {
		err := b.sendNotice(ctx, text)
		if err == nil {
			return nil
		}
		if v := classify(err); try == 2 || v != passing && v != flooded {
			return fmt.Errorf("telegram: the code was not delivered: %w", err)
		}
		if outbox.Sleep(ctx, outbox.Backoff(try, time.Second)) != nil {
			return fmt.Errorf("telegram: the code was not delivered: %w", err)
		}
	}
}

// FailedGuess notifies the operators of a wrong code. It does not block; if there are many at once some are dropped.
func (b *Bridge) FailedGuess(_ context.Context, who auth.Requester, tries int) {
	text := localized(b.locale, "failed_guess", "tries", strconv.Itoa(tries), "address", html.EscapeString(who.Address), "browser", html.EscapeString(browser(who.UserAgent)))
	select {
	case b.alerts <- text:
	default:
		b.log.Warn("telegram: dropped a notification of a wrong code")
	}
}

// sendAlerts sends the notifications queued by FailedGuess, until ctx ends.
func (b *Bridge) sendAlerts(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case text := <-b.alerts:
			for try := 0; try < 5; try++ {
				err := b.sendNotice(ctx, text)
				if err == nil {
					break
				}
				b.log.Warn("telegram: failed to send a notification of a wrong code", slog.Any("error", err))
				if v := classify(err); v == refused || v == barred || v == lockedOut || outbox.Sleep(ctx, outbox.Backoff(2+try, time.Minute)) != nil {
					break
				}
			}
		}
	}
}

// sendNotice sends a text to the operators' chat, in a forum to its general topic.
func (b *Bridge) sendNotice(ctx context.Context, text string) error {
	for {
		chat := b.recipient()
		_, err := b.post(ctx, b.urgent(urgentWait), codeWait, text, &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true})
		if !b.followed(ctx, chat, err) {
			return err
		}
	}
}

// browser shortens a User-Agent header, which the client controls.
func browser(userAgent string) string {
	userAgent, _ = cutText(strings.Join(strings.Fields(userAgent), " "), 200)
	if userAgent == "" {
		return "?"
	}
	return userAgent
}
