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
	// DefaultMemory is the budget for decoding where the options name none, in bytes.
	DefaultMemory = 96 << 20
	// fixedCost is what decoding takes whatever the picture: the thumbnail, the state of compressors, buffers.
	fixedCost = 6 << 20
	// decodeTime bounds the work on one file, waitTime how long it waits for its turn.
	decodeTime, waitTime = time.Minute, 2 * time.Minute
	// collectFrom is the cost from which memory is given back at once, in bytes.
	collectFrom = 8 << 20
)

// budget is the memory for decoding that all files of a process share. A file is charged before it is decoded with all that
// decoding can allocate at worst, as if nothing were collected meanwhile.
type budget struct {
	bytes int64
	least int64 // every file takes at least this much, which bounds how many are decoded at one time
	free  *semaphore.Weighted
}

// newBudget leaves a processor to the rest of the program where there are several, and decodes at most four files at one time.
func newBudget(bytes int64) *budget {
	if bytes <= 0 {
		bytes = DefaultMemory
	}
	return &budget{bytes: bytes, least: bytes / int64(max(1, min(runtime.GOMAXPROCS(0)-1, 4))), free: semaphore.NewWeighted(bytes)}
}

// run waits until there are cost bytes, runs f and gives them back. What could never fit is refused at once.
func (b *budget) run(ctx context.Context, cost int64, f func(context.Context) error) error {
	cost += fixedCost
	if cost > b.bytes {
		return tooManyPixels(fmt.Errorf("decoding it takes up to %d bytes of the %d that there are", cost, b.bytes))
	}
	share := max(cost, b.least)
	waiting, stop := context.WithTimeout(ctx, waitTime)
	defer stop()
	if err := b.free.Acquire(waiting, share); err != nil {
		return fmt.Errorf("wait for memory to decode a file: %w", err)
	}
	defer b.free.Release(share)
	if cost >= collectFrom {
		defer debug.FreeOSMemory() // otherwise the next file would come on top of what this one left
	}
	ctx, cancel := context.WithTimeout(ctx, decodeTime)
	defer cancel()
	if err := f(ctx); err != nil && ctx.Err() != nil { // decoders hide why they could not read on
		return fmt.Errorf("decode a file: %w", ctx.Err())
	} else {
		return err
	}
}

// timed reads until a context ends: decoders take none.
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

// errOutput says that a cleaned file would be larger than it may.
var errOutput = errors.New("the cleaned file is too large")

// bounded writes until a context ends, and no more than left bytes.
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
