package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/models"
	"sohbet/server/outbox"
)

const (
	inboxBatch = 20
	inboxMost  = 500 // updates being processed or waiting in a lane
)

// inbox processes recorded updates: those of one conversation in order, and conversations concurrently.
type inbox struct {
	*Bridge
	running sync.WaitGroup
	ended   chan struct{} // signals that an update is done

	mu    sync.Mutex
	taken map[int64]bool      // updates that are in a lane
	done  map[int64]bool      // updates completed since the last query of the table began
	lanes map[string][]letter // updates waiting for the one being processed, by lane
	where map[int]string      // lane of each operator's message that is in one
}

// letter is an update in a lane.
type letter struct {
	models.ReceivedUpdate
	message int // id of its message; 0 if it has none of an operator
}

// actOnAll processes recorded updates until ctx ends.
func (b *Bridge) actOnAll(ctx context.Context) {
	in := &inbox{Bridge: b, ended: make(chan struct{}, 1), taken: make(map[int64]bool), done: make(map[int64]bool),
		lanes: make(map[string][]letter), where: make(map[int]string)}
	defer in.running.Wait()
	purged := time.Time{}
	for ctx.Err() == nil {
		if b.now().Sub(purged) > time.Hour {
			purged = b.now()
			if _, err := b.store.PurgeUpdates(ctx, purged.Add(-updatesKept)); err != nil && ctx.Err() == nil {
				b.log.Debug("telegram: failed to delete old updates", slog.Any("error", err))
			}
		}
		if in.takeSome(ctx) {
			continue
		}
		select {
		case <-b.arrived:
		case <-in.ended:
		case <-time.After(actEvery): // another process may have received one at the webhook
			in.running.Go(func() { b.heldHint(ctx) })
		case <-ctx.Done():
		}
	}
}

// takeSome adds updates to lanes and reports whether to continue immediately.
func (in *inbox) takeSome(ctx context.Context) bool {
	in.mu.Lock()
	n := len(in.taken)
	clear(in.done)
	in.mu.Unlock()
	if n >= inboxMost {
		return false
	}
	list, err := in.store.PendingUpdates(ctx, in.botID, n+inboxBatch)
	if err != nil {
		return false
	}
	fresh := 0
	for _, u := range list {
		in.mu.Lock()
		known := in.taken[u.UpdateID] || in.done[u.UpdateID]
		in.mu.Unlock()
		if !known {
			fresh++
			in.take(ctx, u)
		}
	}
	return fresh == inboxBatch
}

// take appends an update to its lane.
func (in *inbox) take(ctx context.Context, u models.ReceivedUpdate) {
	name, message := in.lane(ctx, u)
	l := letter{u, message}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.taken[u.UpdateID] = true
	if message != 0 {
		in.where[message] = name
	}
	if waiting, busy := in.lanes[name]; busy {
		in.lanes[name] = append(waiting, l)
		return
	}
	in.lanes[name] = nil
	in.running.Go(func() { in.work(ctx, name, l) })
}

// work processes the updates of a lane until it is empty.
func (in *inbox) work(ctx context.Context, name string, l letter) {
	for {
		in.finish(ctx, l.ReceivedUpdate)
		if ctx.Err() != nil {
			return
		}
		in.mu.Lock()
		delete(in.taken, l.UpdateID)
		in.done[l.UpdateID] = true
		waiting := in.lanes[name]
		if !slices.ContainsFunc(waiting, func(other letter) bool { return other.message == l.message }) {
			delete(in.where, l.message)
		}
		if len(waiting) == 0 {
			delete(in.lanes, name)
		} else {
			l, in.lanes[name] = waiting[0], waiting[1:]
		}
		in.mu.Unlock()
		select {
		case in.ended <- struct{}{}:
		default:
		}
		if len(waiting) == 0 {
			return
		}
	}
}

// finish processes an update until it is done or given up.
func (in *inbox) finish(ctx context.Context, u models.ReceivedUpdate) {
	for ; ctx.Err() == nil; u.Tries++ {
		err := in.actOn(ctx, u)
		if ctx.Err() != nil {
			return
		}
		// Retry without limit while the database is unavailable, otherwise up to actTries.
		if err != nil && (errors.Is(err, errNotSaved) || u.Tries+1 < actTries) {
			in.log.Warn("telegram: failed to process an update; retrying", slog.Int64("update_id", u.UpdateID), slog.Int("tries", u.Tries+1), slog.Any("error", err))
			if err := in.store.UpdateTried(ctx, u); err != nil {
				in.log.Debug("telegram: failed to record a failed attempt", slog.Any("error", err))
			}
			_ = outbox.Sleep(ctx, outbox.Backoff(u.Tries, receiveRetry)) // later updates in its lane wait, to keep the order
			continue
		}
		if err != nil {
			in.log.Error("telegram: gave up processing an update", slog.Int64("update_id", u.UpdateID), slog.Any("error", err))
		}
		for try := 0; ctx.Err() == nil; try++ {
			err := in.store.UpdateDone(ctx, u, in.now())
			if err == nil {
				return
			}
			in.log.Warn("telegram: failed to mark an update as done", slog.Any("error", err))
			_ = outbox.Sleep(ctx, outbox.Backoff(try, receiveRetry)) // ctx is checked next
		}
	}
}

// lane returns the lane of an update, whose updates are processed in order: its topic or conversation, or "" if it has none. A reply to
// or edit of a message that is in a lane goes to the same one. message is the id of the update's message.
func (in *inbox) lane(ctx context.Context, u models.ReceivedUpdate) (name string, message int) {
	defer func() {
		if recover() != nil { // the library panics on a malformed update; actOn meets it again and logs it
			name, message = "", 0
		}
	}()
	var update tele.Update
	if json.Unmarshal([]byte(u.Payload), &update) != nil {
		return "", 0
	}
	m := update.Message
	if m == nil {
		m = update.EditedMessage
	}
	var threadID string
	switch {
	case m != nil && !in.isFromTeam(m):
		return "", 0
	case m != nil && m.TopicMessage && m.ThreadID != 0:
		return topicLane(int64(m.ThreadID)), m.ID
	case m != nil:
		message = m.ID
		in.mu.Lock()
		name, known := in.where[m.ID]
		if !known && m.ReplyTo != nil {
			name, known = in.where[m.ReplyTo.ID]
		}
		in.mu.Unlock()
		if known {
			return name, message
		}
		threadID, _, _ = in.target(ctx, m) // without a thread, or if the database is unavailable, it goes to the common lane
		if m.AlbumID != "" {
			album := "album " + m.AlbumID
			in.mu.Lock()
			_, waits := in.lanes[album]
			in.mu.Unlock()
			if threadID == "" || waits {
				return album, message
			}
		}
	case update.MessageReaction != nil: // it may wait for a link
		return "reaction " + strconv.Itoa(update.MessageReaction.MessageID), 0
	case update.Callback != nil:
		if _, short, about := strings.Cut(update.Callback.Data, ":"); about {
			if t, err := in.store.TelegramThreadByShortID(ctx, short); err == nil {
				threadID = t.ThreadID
			}
		}
	}
	if threadID == "" {
		return "", message
	}
	if t, _, err := in.store.TelegramThread(ctx, threadID); err == nil && t.TopicID != 0 && t.ChatID == int64(in.recipient()) {
		return topicLane(t.TopicID), message
	}
	return "thread " + threadID, message
}

func topicLane(topic int64) string { return "topic " + strconv.FormatInt(topic, 10) }
