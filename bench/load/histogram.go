package main

import (
	"math"
	"time"
)

// histogram counts durations in buckets 5 % wide, from 1 µs to minutes. It is precise enough for percentiles and small enough to have
// one per connection. It is not safe for concurrent use; merge histograms after the run.
type histogram struct {
	counts [420]uint32
	n      int
	max    time.Duration
}

const growth = 1.05

var logGrowth = math.Log(growth)

func (h *histogram) add(d time.Duration) {
	us := float64(d) / float64(time.Microsecond)
	i := 0
	if us > 1 {
		i = min(int(math.Log(us)/logGrowth), len(h.counts)-1)
	}
	h.counts[i]++
	h.n++
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// quantile returns the upper bound of the bucket that contains the q-quantile.
func (h *histogram) quantile(q float64) time.Duration {
	want, seen := int(math.Ceil(q*float64(h.n))), 0
	for i, c := range h.counts {
		if seen += int(c); seen >= want && seen > 0 {
			return min(h.max, time.Duration(math.Pow(growth, float64(i+1))*float64(time.Microsecond)))
		}
	}
	return h.max
}

// latency summarizes a histogram, in milliseconds.
type latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func (h *histogram) report() latency {
	ms := func(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }
	return latency{ms(h.quantile(0.5)), ms(h.quantile(0.99)), ms(h.max)}
}
