package chat

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sohbet/models"
	"sohbet/server/apperr"
)

// pageEvery is the minimum interval between stored page changes of a visitor.
const pageEvery = 5 * time.Second

// pages throttles page changes by socket and thread. Of the changes within an interval only the last is stored, at its end.
type pages struct {
	every   time.Duration
	mu      sync.Mutex
	waiting map[pageKey]*page // nil = none pending in this interval
}

type pageKey struct{ socket, thread string }

type page struct{ url, title, address string } // address: the visitor's network address

// Page stores the page a visitor is on, at most once per pageEvery and socket. It emits "thread_updated" to agents.
func (s *Service) Page(ctx context.Context, a Actor, threadID, address, title string) error {
	if err := s.visitorOnly(ctx, a, threadID); err != nil {
		return err
	}
	if address = webAddress(address); address == "" {
		return apperr.Invalid("page_url", "page_url must be an http or https address.")
	}
	p := page{url: address, title: pageTitle(title), address: a.Address}
	key := pageKey{a.SocketID, threadID}
	s.pages.mu.Lock()
	if _, busy := s.pages.waiting[key]; busy {
		s.pages.waiting[key] = &p
		s.pages.mu.Unlock()
		return nil
	}
	if s.pages.waiting == nil {
		s.pages.waiting = make(map[pageKey]*page)
	}
	s.pages.waiting[key] = nil
	s.pages.mu.Unlock()
	time.AfterFunc(s.pages.every, func() { s.laterPage(key) })
	return s.notePage(ctx, key, p)
}

// laterPage stores the pending page at the end of an interval, if there is one.
func (s *Service) laterPage(key pageKey) {
	s.pages.mu.Lock()
	p := s.pages.waiting[key]
	if p == nil {
		delete(s.pages.waiting, key)
		s.pages.mu.Unlock()
		return
	}
	s.pages.waiting[key] = nil
	s.pages.mu.Unlock()
	time.AfterFunc(s.pages.every, func() { s.laterPage(key) })
	ctx, cancel := context.WithTimeout(context.Background(), queueWait)
	defer cancel()
	if err := s.notePage(ctx, key, *p); err != nil {
		s.log.Debug("failed to store a visitor's page", slog.Any("error", err))
	}
}

func (s *Service) notePage(ctx context.Context, key pageKey, p page) error {
	t, err := s.store.Thread(ctx, key.thread)
	if err == nil && (t.PageURL != p.url || t.PageTitle != p.title) {
		if err := s.mayStore(ctx, Actor{Role: Visitor, Address: p.address}, key.thread, p.url, p.title); err != nil {
			return err
		}
		if t, err = s.store.UpdateThread(ctx, key.thread, models.ThreadPatch{PageURL: &p.url, PageTitle: &p.title}); err == nil {
			s.publishThread(t)
		}
	}
	if err != nil {
		return s.notSaved(ctx, err)
	}
	return nil
}
