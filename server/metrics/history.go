package metrics

import (
	"sync"
	"time"
)

// Sampling of the history.
const (
	SampleEvery = 10 * time.Second
	samples     = 360 // an hour
)

// Sample is the state at one time.
type Sample struct {
	At        time.Time `json:"at"`
	Messages  float64   `json:"messages"`   // stored per minute
	LatencyMS *float64  `json:"latency_ms"` // 95th percentile of the time from a message to its acknowledgement; null without messages
	Visitors  int       `json:"visitors"`   // online
	Memory    uint64    `json:"memory"`     // bytes
	Waiting   int64     `json:"waiting"`    // queued for Telegram
}

// History keeps the samples of the last hour.
type History struct {
	mu   sync.Mutex
	ring []Sample
}

// Add adds a sample and removes the oldest if there are too many.
func (h *History) Add(s Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ring) == samples {
		h.ring = append(h.ring[:0], h.ring[1:]...)
	}
	h.ring = append(h.ring, s)
}

// Samples returns all samples, oldest first.
func (h *History) Samples() []Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Sample{}, h.ring...)
}
