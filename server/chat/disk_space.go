package chat

import (
	"context"
	"net/http"
	"time"

	"sohbet/server/apperr"
	"sohbet/server/disk"
)

// Space reports how much disk space is left.
type Space interface {
	State(context.Context) disk.State
}

// Budget is a [Limiter] for amounts.
type Budget interface {
	AllowN(key, address string, n int) (ok bool, retryAfter time.Duration)
}

// rowBytes is the approximate size of a row with its indexes, excluding its texts.
const rowBytes = 500

// kilobytes is the approximate size of texts stored in one row: encryption adds a third.
func kilobytes(texts ...string) int {
	bytes := rowBytes
	for _, text := range texts {
		bytes += len(text) * 4 / 3
	}
	return (bytes + 999) / 1000
}

// mayStore refuses to store texts of a visitor if they exceed the limit of the thread or address, or if the disk is nearly full.
// Agents' texts are small, so they may use the remaining space.
func (s *Service) mayStore(ctx context.Context, a Actor, threadID string, texts ...string) error {
	if !s.hasSpace(ctx, a) {
		return errNoSpace
	}
	if a.Role != Visitor || s.texts == nil {
		return nil
	}
	if ok, wait := s.texts.AllowN(threadID, a.Address, kilobytes(texts...)); !ok {
		return apperr.Limited(wait)
	}
	return nil
}

func (s *Service) hasSpace(ctx context.Context, a Actor) bool {
	if s.space == nil {
		return true
	}
	level := s.space.State(ctx).Level
	return level < disk.Full || level == disk.Full && a.Role != Visitor
}

// errNoSpace is the error when the disk is nearly full.
var errNoSpace = &apperr.Error{Code: apperr.CodeSaveFailed, Status: http.StatusInsufficientStorage,
	Message: "This cannot be stored: the server's disk is nearly full. Please try again later, or reach us in another way."}

// Storage returns the disk status for agents: "ok", "low" (nearly full), or "full" (messages of visitors are refused).
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

// publishStorage sends the disk status to agents at this process if it changed.
func (s *Service) publishStorage(ctx context.Context) {
	if now := s.Storage(ctx); now != s.publishedStorage {
		s.publishedStorage = now
		s.publisher.Publish(Publication{Agents: []*Event{{"storage_status", storageStatus{now}}}, Here: true})
	}
}
