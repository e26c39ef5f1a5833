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

// codeWait is how long somebody who asked for a code waits to hear whether it was delivered.
const codeWait = 10 * time.Second

// urgentWait is how long what is urgent waits for room. After that it is sent all the same, and Telegram decides.
const urgentWait = 4 * time.Second

var _ auth.CodeSender = (*Bridge)(nil)

// SendCode delivers a one-time code to the operator's chat. Any process may do that. An error means that it is not there.
func (b *Bridge) SendCode(ctx context.Context, code string, who auth.Requester) error {
	ctx, cancel := context.WithTimeout(ctx, codeWait)
	defer cancel()
	text := say(b.locale, "code", "code", html.EscapeString(code), "address", html.EscapeString(who.Address), "browser", html.EscapeString(browser(who.UserAgent)))
	for try := 0; ; try++ {
		err := b.tell(ctx, text)
		if err == nil {
			return nil
		}
		if v := judge(err); try == 2 || v != passing && v != flooded {
			return fmt.Errorf("telegram: the code was not delivered: %w", err)
		}
		if outbox.Sleep(ctx, outbox.Backoff(try, time.Second)) != nil {
			return fmt.Errorf("telegram: the code was not delivered: %w", err)
		}
	}
}

// FailedGuess tells the operator that somebody entered a wrong code. It does not wait; of many at once some are told.
func (b *Bridge) FailedGuess(_ context.Context, who auth.Requester, tries int) {
	text := say(b.locale, "failed_guess", "tries", strconv.Itoa(tries), "address", html.EscapeString(who.Address), "browser", html.EscapeString(browser(who.UserAgent)))
	select {
	case b.alerts <- text:
	default:
		b.log.Warn("telegram: more wrong codes than can be told")
	}
}

// tellAlerts sends what FailedGuess noted, until ctx ends.
func (b *Bridge) tellAlerts(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case text := <-b.alerts:
			for try := 0; try < 5; try++ {
				err := b.tell(ctx, text)
				if err == nil {
					break
				}
				b.log.Warn("telegram: a warning was not delivered", slog.Any("error", err))
				if v := judge(err); v == refused || v == barred || v == lockedOut || outbox.Sleep(ctx, outbox.Backoff(2+try, time.Minute)) != nil {
					break
				}
			}
		}
	}
}

// tell writes to the operator's chat, in a forum into its general topic.
func (b *Bridge) tell(ctx context.Context, text string) error {
	for {
		chat := b.to()
		_, err := b.post(ctx, b.urgent(urgentWait), codeWait, text, &tele.SendOptions{ParseMode: tele.ModeHTML, DisableWebPagePreview: true})
		if !b.followed(ctx, chat, err) {
			return err
		}
	}
}

// browser shortens what a browser says of itself, which anybody can choose.
func browser(userAgent string) string {
	userAgent, _ = cutText(strings.Join(strings.Fields(userAgent), " "), 200)
	if userAgent == "" {
		return "?"
	}
	return userAgent
}
