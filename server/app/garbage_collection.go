package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A busy server with few connections has little live data, so its heap is collected several times a second, for a fifth of its CPU time.
// A larger heap costs little then; while the server is idle, it would only be garbage.
const (
	gcInterval = 2 * time.Second
	gcOften    = 2        // collections in an interval from which the heap may grow
	gcRoom     = 24 << 20 // bytes of garbage that it may hold then
	gcUsual    = 100      // percent of the live data, Go's default
)

// paceGC adapts how often garbage is collected to the load until ctx ends.
func paceGC(ctx context.Context) {
	defer debug.SetGCPercent(gcUsual)
	samples := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	before, current := samples[0].Value.Uint64(), gcUsual
	tick := time.NewTicker(gcInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		cycles := samples[0].Value.Uint64()
		if percent := gcPercent(current, cycles-before, samples[1].Value.Uint64()); percent != current {
			current = percent
			debug.SetGCPercent(percent)
		}
		before = cycles
	}
}

// gcPercent returns how much garbage the heap may hold, in percent of the live data, after the given number of collections.
func gcPercent(current int, cycles, live uint64) int {
	switch {
	case cycles == 0:
		return gcUsual
	case cycles < gcOften: // the load that made it grow may continue
		return current
	}
	return max(gcUsual, int(100*gcRoom/max(live, 1<<20)))
}
