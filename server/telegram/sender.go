package telegram

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"sohbet/models"
)

const (
	sendBatch   = 20
	sendIdle    = time.Second // another process may have put something into the outbox
	backoffLow  = 500 * time.Millisecond
	backoffRow  = time.Minute      // the most that one thread waits because of one row
	backoffAll  = 5 * time.Second  // the most that everything waits because Telegram is away
	backoffOut  = 30 * time.Second // … because it wants nothing to do with this bot
	outageAfter = 3                // failures in a row, after which a success means that an outage is over
	stubborn    = 6                // tries of one row, while others go out, after which it is sent in another form
)

// run is what the sender remembers while it works.
type run struct {
	failures int                 // in a row
	success  time.Time           // the last one
	failing  map[int64]time.Time // when a row first failed
}

// sendAll empties the outbox, in order for each thread, until ctx ends.
func (b *Bridge) sendAll(ctx context.Context) {
	r := &run{failing: make(map[int64]time.Time)}
	for ctx.Err() == nil {
		rows, err := b.store.OutboxNext(ctx, b.now(), sendBatch)
		if err != nil && ctx.Err() == nil {
			b.log.Debug("telegram: the outbox cannot be read", slog.Any("error", err))
		}
		if len(rows) == 0 {
			b.relax(ctx)
			select {
			case <-b.store.OutboxReady():
			case <-time.After(sendIdle):
			case <-ctx.Done():
			}
			continue
		}
		b.sendSome(ctx, r, rows)
	}
}

// relax forgets the trouble of sending when what could not be sent was deleted.
func (b *Bridge) relax(ctx context.Context) {
	if !b.state.troubled("send") {
		return
	}
	if backlog, err := b.store.OutboxBacklog(ctx); err == nil && backlog.Rows == 0 {
		b.state.noted("send", nil)
	}
}

// sendSome sends rows until one fails in a way that the others would too.
func (b *Bridge) sendSome(ctx context.Context, r *run, rows []models.OutboxRow) {
	waiting := make(map[string]bool)
	for _, row := range rows {
		if ctx.Err() != nil {
			return
		}
		if waiting[row.ThreadID] {
			continue
		}
		if b.pace.open(ctx) != nil {
			return
		}
		err := b.sendRow(ctx, row, r.form(row))
		if ctx.Err() != nil {
			return
		}
		b.state.noted("send", err)
		if err == nil {
			delete(r.failing, row.ID)
			r.success = b.now()
			if r.failures >= outageAfter {
				b.log.Info("telegram: sending works again")
				if err := b.store.OutboxWake(ctx); err != nil {
					b.log.Warn("telegram: waiting messages were not woken", slog.Any("error", err))
				}
				r.failures = 0
				return // those that waited come first
			}
			r.failures = 0
			continue
		}
		waiting[row.ThreadID] = true
		if !b.failed(ctx, r, row, err) {
			return
		}
	}
}

// failed notes a row that could not be sent, waits, and reports whether others may be tried.
func (b *Bridge) failed(ctx context.Context, r *run, row models.OutboxRow, err error) bool {
	b.state.failed.Add(1)
	var e *apiError
	v := judge(err)
	if v == flooded && errors.As(err, &e) {
		b.log.Debug("telegram: told to wait", slog.Duration("for", e.RetryAfter))
		return false // the pace knows
	}
	r.failures++
	if len(r.failing) > 1000 { // of some that were deleted nothing is heard any more
		clear(r.failing)
	}
	if _, known := r.failing[row.ID]; !known {
		r.failing[row.ID] = b.now()
	}
	level := slog.LevelDebug
	if r.failures == outageAfter || r.failures%100 == 0 {
		level = slog.LevelWarn // an outage is told once, and now and then while it lasts
	}
	b.log.Log(ctx, level, "telegram: not sent, trying again", slog.Int("tries", row.Tries+1), slog.Any("error", err))
	if v != lockedOut {
		if err := b.store.OutboxLater(ctx, row.ID, b.now().Add(backoff(row.Tries, backoffRow))); err != nil {
			b.log.Warn("telegram: a failed try was not noted", slog.Any("error", err))
		}
	}
	if errors.As(err, &e) && e.MigratedTo != 0 {
		b.moved(e.MigratedTo)
		return false
	}
	most := backoffAll
	if v == lockedOut {
		most = backoffOut
	}
	_ = sleep(ctx, backoff(r.failures-1, most)) // ctx is looked at next
	return v != lockedOut
}

// moved follows a group that has become a supergroup.
func (b *Bridge) moved(to int64) {
	b.chatID.Store(to)
	b.forum.mu.Lock()
	b.forum.known = false
	b.forum.mu.Unlock()
	b.log.Warn("telegram: the group has become a supergroup; set TELEGRAM_CHAT_ID to its new number before the next start", slog.Int64("chat_id", to))
}

// form is the form in which a row is tried: another one if it alone keeps failing.
func (r *run) form(row models.OutboxRow) form {
	since, known := r.failing[row.ID]
	switch alone := known && r.success.After(since); {
	case alone && row.Tries >= 2*stubborn:
		return asNotice
	case alone && row.Tries >= stubborn:
		return asPlain
	}
	return asIs
}

// backoff doubles from try to try up to a bound, and is off by up to a quarter, so that nothing comes in step.
func backoff(tries int, most time.Duration) time.Duration {
	d := min(backoffLow<<min(tries, 20), most)
	return d - d/4 + time.Duration(rand.Int64N(int64(d)/2+1))
}

// sendRow does what a row of the outbox asks for.
func (b *Bridge) sendRow(ctx context.Context, row models.OutboxRow, f form) error {
	switch row.Kind {
	case models.OutboxTopic:
		if err := b.syncTopic(ctx, row.ThreadID); err != nil {
			return err
		}
		return b.store.OutboxDone(ctx, row.ID)
	case models.OutboxEdit:
		return b.sendEdit(ctx, row)
	}
	return b.sendMessage(ctx, row, f)
}

// record notes what has been sent. It goes on trying: what it forgets would be sent again.
func (b *Bridge) record(ctx context.Context, row models.OutboxRow, link models.TelegramLink, last bool) error {
	for try := 0; ; try++ {
		err := b.store.OutboxSent(ctx, row, []models.TelegramLink{link}, last)
		if err == nil || ctx.Err() != nil || errors.Is(err, models.ErrClosed) {
			return err
		}
		b.log.Warn("telegram: what was sent is not noted yet", slog.Any("error", err))
		if err := sleep(ctx, backoff(try, backoffAll)); err != nil {
			return err
		}
	}
}
