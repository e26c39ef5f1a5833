package chat

import (
	"context"
	"net/http"
	"time"

	"sohbet/server/disk"
)

// Space tells how much room is left for what is stored.
type Space interface {
	State(context.Context) disk.State
}

// Budget is a [Limiter] of amounts.
type Budget interface {
	AllowN(key, address string, n int) (ok bool, retryAfter time.Duration)
}

// rowBytes is about what a row takes with its indexes beyond its texts.
const rowBytes = 500

// kilobytes is about what texts take in a row: encryption makes them a third longer.
func kilobytes(texts ...string) int {
	bytes := rowBytes
	for _, text := range texts {
		bytes += len(text) * 4 / 3
	}
	return (bytes + 999) / 1000
}

// mayStore refuses what a visitor wants stored if that is more than they or their address may have written, or if the disk has no
// room. What agents write is small and worth the last of it.
func (s *Service) mayStore(ctx context.Context, a Actor, threadID string, texts ...string) error {
	if !s.roomFor(ctx, a) {
		return noRoom
	}
	if a.Role != Visitor || s.texts == nil {
		return nil
	}
	if ok, wait := s.texts.AllowN(threadID, a.Address, kilobytes(texts...)); !ok {
		return Limited(wait)
	}
	return nil
}

func (s *Service) roomFor(ctx context.Context, a Actor) bool {
	if s.space == nil {
		return true
	}
	level := s.space.State(ctx).Level
	return level < disk.Full || level == disk.Full && a.Role != Visitor
}

// noRoom refuses what would fill the disk.
var noRoom = &Error{Code: CodeSaveFailed, Status: http.StatusInsufficientStorage,
	Message: "This cannot be stored: the server's disk is nearly full. Please try again later, or reach us in another way."}

// Storage says how the disk is, for agents: "ok", "low" (nearly full), or "full" (what visitors write is refused).
func (s *Service) Storage(ctx context.Context) string {
	if s.space == nil {
		return "ok"
	}
	switch s.space.State(ctx).Level {
	case disk.OK:
		return "ok"
	case disk.Low:
		return "low"
	}
	return "full"
}

// storageStatus is the payload of "storage_status".
type storageStatus struct {
	Storage string `json:"storage"`
}

// tellStorage tells agents here how the disk is, if it is news.
func (s *Service) tellStorage(ctx context.Context) {
	if now := s.Storage(ctx); now != s.toldStorage {
		s.toldStorage = now
		s.publisher.Publish(Publication{Agents: []*Event{{"storage_status", storageStatus{now}}}, Here: true})
	}
}
