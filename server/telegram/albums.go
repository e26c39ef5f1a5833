package telegram

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	tele "gopkg.in/telebot.v3"

	"sohbet/server/outbox"
)

// albums remembers which thread an album belongs to, because the caption with the tag is only on its first picture.
type albums struct {
	now func() time.Time

	mu   sync.Mutex
	seen map[string]album
}

type album struct {
	threadID  string
	published bool
	since     time.Time
	at        time.Time
	missed    []*tele.Message // messages that could not be assigned to a visitor
}

const albumKept = 10 * time.Minute

func (a *albums) change(id string, f func(*album)) album {
	a.mu.Lock()
	defer a.mu.Unlock()
	for old, one := range a.seen {
		if a.now().Sub(one.at) > albumKept {
			delete(a.seen, old)
		}
	}
	one, known := a.seen[id]
	if !known {
		one.since = a.now()
	}
	f(&one)
	one.at = a.now()
	if a.seen == nil {
		a.seen = make(map[string]album)
	}
	a.seen[id] = one
	return one
}

func (a *albums) note(id, threadID string) {
	if id != "" {
		a.change(id, func(one *album) { one.threadID = threadID })
	}
}

func (a *albums) thread(id string) string { return a.change(id, func(*album) {}).threadID }

// published reports whether the operator was already notified about an album, and records that they are now.
func (a *albums) published(id string) (before bool) {
	a.change(id, func(one *album) { before, one.published = one.published, true })
	return before
}

const (
	albumWait  = 3 * time.Second // for the other pictures of an album, which Telegram delivers separately
	albumEvery = 50 * time.Millisecond
)

// awaitAlbum waits until another picture of a message's album determines its thread, and returns the id; "" if none does.
func (b *Bridge) awaitAlbum(ctx context.Context, m *tele.Message) (threadID string, err error) {
	for {
		one := b.albums.change(m.AlbumID, func(*album) {})
		if one.threadID != "" {
			return one.threadID, nil
		}
		if b.now().Sub(one.since) > albumWait {
			b.albums.change(m.AlbumID, func(one *album) { one.missed = append(one.missed, m) })
			return "", nil
		}
		if err := outbox.Sleep(ctx, albumEvery); err != nil {
			return "", err
		}
	}
}

// handleTagged forwards a message to which a tag was added after it could not be assigned to a visitor, together with the other pictures
// of its album.
func (b *Bridge) handleTagged(ctx context.Context, m *tele.Message, last bool) error {
	if strings.HasPrefix(m.Text, "/") {
		return nil
	}
	list := []*tele.Message{m}
	if m.AlbumID != "" {
		if threadID, _, err := b.target(ctx, m); err != nil { // also records the thread of the album
			return fmt.Errorf("%w: %w", errNotSaved, err)
		} else if missed := b.albums.change(m.AlbumID, func(*album) {}).missed; threadID != "" && len(missed) > 0 {
			list = missed
		}
	}
	for _, one := range list {
		if one.ID == m.ID {
			one = m
		}
		if err := b.handleMessage(ctx, one, last); err != nil { // messages forwarded before are recognized by their client id
			return err
		}
	}
	return nil
}
