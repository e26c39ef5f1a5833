package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Latency measures how long messages took since the last call of Quantile.
type Latency struct {
	of   prometheus.Metric
	last map[float64]uint64 // cumulative counts by upper bound
}

// MessageLatency starts to measure the time from a message to its acknowledgement.
func (m *Metrics) MessageLatency() *Latency {
	return &Latency{of: m.eventSeconds.WithLabelValues("message").(prometheus.Metric), last: map[float64]uint64{}}
}

// Quantile returns the q-quantile of these times, by linear interpolation within a bucket, like PromQL's histogram_quantile; ok is
// false if there were no messages. Times above the last bound count as that bound.
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
