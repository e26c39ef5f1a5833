package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// What the history keeps.
const (
	SampleEvery = 10 * time.Second
	samples     = 360 // an hour
)

// Sample is how things stood at a moment.
type Sample struct {
	At        time.Time `json:"at"`
	Messages  float64   `json:"messages"`   // stored, a minute
	LatencyMS *float64  `json:"latency_ms"` // 95th percentile from a message to the ack that it is durable; null without one
	Visitors  int       `json:"visitors"`   // online
	Memory    uint64    `json:"memory"`     // bytes
	Waiting   int64     `json:"waiting"`    // for Telegram
}

// History keeps the samples of the last hour.
type History struct {
	mu   sync.Mutex
	ring []Sample
}

// Add keeps a sample; the oldest goes when there are too many.
func (h *History) Add(s Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ring) == samples {
		h.ring = append(h.ring[:0], h.ring[1:]...)
	}
	h.ring = append(h.ring, s)
}

// Samples lists what is kept, oldest first.
func (h *History) Samples() []Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Sample{}, h.ring...)
}

// Latency reads how long messages took since it was last asked.
type Latency struct {
	of   prometheus.Metric
	last map[float64]uint64 // by upper bound: all that were faster
}

// MessageLatency starts to watch the time from a message to its answer.
func (m *Metrics) MessageLatency() *Latency {
	return &Latency{of: m.eventSeconds.WithLabelValues("message").(prometheus.Metric), last: map[float64]uint64{}}
}

// Quantile is the time within which the share q of them was answered, by linear interpolation within a bucket, as PromQL's
// histogram_quantile does; ok is false when there was none. What took longer than the last bound counts as that bound.
func (l *Latency) Quantile(q float64) (d time.Duration, ok bool) {
	var text dto.Metric
	if err := l.of.Write(&text); err != nil {
		return 0, false
	}
	buckets := text.GetHistogram().GetBucket()
	all := text.GetHistogram().GetSampleCount()
	total := all - l.last[0]
	l.last[0] = all
	want, below, lower := q*float64(total), 0.0, 0.0
	for _, b := range buckets {
		bound := b.GetUpperBound()
		within := float64(b.GetCumulativeCount() - l.last[bound])
		l.last[bound] = b.GetCumulativeCount()
		if !ok && total > 0 && within >= want {
			share := 1.0
			if within > below {
				share = (want - below) / (within - below)
			}
			d, ok = duration(lower+(bound-lower)*share), true
		}
		below, lower = within, bound
	}
	if !ok && total > 0 {
		d, ok = duration(lower), true
	}
	return d, ok
}

func duration(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
