// Package disk tells how much room is left on the disk of the data folder, and when that is too little to write to.
package disk

import (
	"context"
	"sync"
	"time"
)

// Level says what the room on the disk is enough for.
type Level int

// The levels, by the bytes that are left. Below the floor only agents write; below an eighth of it nothing does but deleting.
const (
	OK      Level = iota
	Low           // below the warning
	Full          // below the floor
	Reserve       // below an eighth of the floor
)

const (
	sampleEvery = time.Second
	// A floor is never more than this part of the disk, so that small volumes stay usable; nor is the warning more than twice that.
	largestPart = 10
	warnFactor  = 4
	reservePart = 8
)

// DefaultFloor is the floor in bytes where none is set, and what the warning is reckoned by where the floor is off.
const DefaultFloor = 128 << 20

// State is the room as it was found.
type State struct {
	Level       Level
	Free, Total uint64 // bytes
	Floor       uint64 // bytes; 0 = none
	Err         error  // the folder could not be looked at
}

// Options describe a disk.
type Options struct {
	Dir   string
	Floor int64 // bytes that visitors leave free; 0 = the disk may be filled
	// Spare, if set, gives the bytes inside the database's file that it writes to before the file grows.
	Spare func(context.Context) (uint64, error)
	Usage func(dir string) (free, total uint64, err error) // nil = [Usage]
	Now   func() time.Time
}

// Space watches the room on a disk. It looks at most once a second, when it is asked. Its methods may be called from any goroutine.
type Space struct {
	o Options

	mu    sync.Mutex
	at    time.Time
	state State
}

// New makes a Space.
func New(o Options) *Space {
	if o.Usage == nil {
		o.Usage = Usage
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Space{o: o}
}

// State returns the room as it was within the last second. A disk that cannot be looked at counts as having room: writing to it
// tells.
func (s *Space) State(ctx context.Context) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.o.Now(); s.at.IsZero() || now.Sub(s.at) >= sampleEvery || now.Before(s.at) {
		s.at, s.state = now, s.look(ctx)
	}
	return s.state
}

func (s *Space) look(ctx context.Context) State {
	free, total, err := s.o.Usage(s.o.Dir)
	if err != nil {
		return State{Err: err}
	}
	st := State{Free: free, Total: total}
	floor := uint64(DefaultFloor)
	if s.o.Floor > 0 {
		floor = uint64(s.o.Floor)
	}
	floor = min(floor, total/largestPart)
	if free < min(warnFactor*floor, 2*total/largestPart) {
		st.Level = Low
	}
	if s.o.Floor == 0 {
		return st
	}
	st.Floor = floor
	switch {
	case free < floor/reservePart:
		st.Level = Reserve
	case free < floor && free+s.spare(ctx) < floor:
		st.Level = Full
	}
	return st
}

func (s *Space) spare(ctx context.Context) uint64 {
	if s.o.Spare == nil {
		return 0
	}
	spare, err := s.o.Spare(ctx)
	if err != nil { // then it can hardly be written to either, which is told elsewhere
		return 0
	}
	return spare
}

// Free is how many bytes files may still take: what is left above the floor.
func (s *Space) Free() (uint64, error) {
	st := s.State(context.Background())
	if st.Err != nil || st.Free <= st.Floor {
		return 0, st.Err
	}
	return st.Free - st.Floor, nil
}
