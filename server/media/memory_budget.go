package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// DefaultMemory is the memory budget for decoding if the options do not set one, in bytes.
	DefaultMemory = 96 << 20
	// fixedCost is the memory for decoding any picture: thumbnail, compressor state, buffers.
	fixedCost = 6 << 20
	// decodeTime limits the work on one file, waitTime how long it waits for memory.
	decodeTime, waitTime = time.Minute, 2 * time.Minute
	// collectFrom is the cost from which memory is returned to the system immediately, in bytes.
	collectFrom = 8 << 20
)

// budget is the memory for decoding, shared by all files of a process. Before a file is decoded it is charged the maximum that decoding
// can allocate, as if nothing were garbage-collected meanwhile.
type budget struct {
	bytes int64
	least int64 // minimum charge per file, which limits how many are decoded concurrently
	free  *semaphore.Weighted
}

// newBudget returns a budget with which at most four files are decoded concurrently, and fewer if necessary to leave a CPU to the rest
// of the program.
func newBudget(bytes int64) *budget {
	if bytes <= 0 {
		bytes = DefaultMemory
	}
	return &budget{bytes: bytes, least: bytes / int64(max(1, min(runtime.GOMAXPROCS(0)-1, 4))), free: semaphore.NewWeighted(bytes)}
}

// run waits until cost bytes are available, runs f and releases them. A cost above the whole budget is refused immediately.
func (b *budget) run(ctx context.Context, cost int64, f func(context.Context) error) error {
	cost += fixedCost
	if cost > b.bytes {
		return tooManyPixels(fmt.Errorf("decoding it takes up to %d bytes, and the budget is %d", cost, b.bytes))
	}
	share := max(cost, b.least)
	waiting, stop := context.WithTimeout(ctx, waitTime)
	defer stop()
	if err := b.free.Acquire(waiting, share); err != nil {
		return fmt.Errorf("wait for memory to decode a file: %w", err)
	}
	defer b.free.Release(share)
	if cost >= collectFrom {
		defer debug.FreeOSMemory() // otherwise the next file's memory would be added to what this one left
	}
	ctx, cancel := context.WithTimeout(ctx, decodeTime)
	defer cancel()
	if err := f(ctx); err != nil && ctx.Err() != nil { // decoders hide the error of the reader
		return fmt.Errorf("decode a file: %w", ctx.Err())
	} else {
		return err
	}
}

// timed is a reader that fails when a context ends, because decoders take no context.
type timed struct {
	ctx context.Context
	r   io.Reader
}

func (t timed) Read(b []byte) (int, error) {
	if err := t.ctx.Err(); err != nil {
		return 0, fmt.Errorf("reading the file: %w", err)
	}
	return t.r.Read(b)
}

// errOutput means that the sanitized file would be too large.
var errOutput = errors.New("the cleaned file is too large")

// bounded is a writer that fails when a context ends, or after left bytes.
type bounded struct {
	ctx  context.Context
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, fmt.Errorf("writing the file: %w", err)
	}
	if int64(len(p)) > b.left {
		return 0, errOutput
	}
	b.left -= int64(len(p))
	return b.w.Write(p)
}
