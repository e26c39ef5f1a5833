// Package disk reports how much space is left on the disk of the data folder, and whether that is too little to write, and writes large
// files to it.
package disk

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// Level classifies the free space.
type Level int

// The levels. Below the floor only agents may write; below an eighth of it nothing is written.
const (
	OK      Level = iota
	Low           // below the warning threshold
	Full          // below the floor
	Reserve       // below an eighth of the floor
)

const (
	sampleEvery = time.Second
	// The floor is at most total/largestPart, so that small volumes stay usable, and the warning threshold at most twice that.
	largestPart = 10
	warnFactor  = 4
	reservePart = 8
)

// DefaultFloor is the floor in bytes if none is configured, and the base of the warning threshold if the floor is off.
const DefaultFloor = 128 << 20

// State is the disk space at the time of a check.
type State struct {
	Level       Level
	Free, Total uint64 // bytes
	Floor       uint64 // bytes; 0 = none
	Err         error  // the folder could not be checked
}

// Options configure a [Space].
type Options struct {
	Dir   string
	Floor int64 // bytes to leave free; 0 = the disk may be filled
	// Spare, if set, returns the free bytes inside the database file, which are reused before the file grows.
	Spare func(context.Context) (uint64, error)
	Usage func(dir string) (free, total uint64, err error) // nil = [Usage]
	Now   func() time.Time
	Probe func(dir string) error // nil = [Probe]
}

// Space monitors the free space of a disk. It checks on demand, at most once a second. It is safe for concurrent use.
type Space struct {
	o Options

	mu    sync.Mutex
	at    time.Time
	state State
}

// New returns a Space.
func New(o Options) *Space {
	if o.Usage == nil {
		o.Usage = Usage
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Probe == nil {
		o.Probe = Probe
	}
	return &Space{o: o}
}

// State returns the state within the last second. If the check fails the level is OK: a write will fail if the disk is really full.
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
	if err != nil { // a disk that cannot be checked can hardly be written to either, which is reported elsewhere
		return 0
	}
	return spare
}

// Free returns how many bytes may still be written: the free space above the floor.
func (s *Space) Free() (uint64, error) {
	st := s.State(context.Background())
	if st.Err != nil || st.Free <= st.Floor {
		return 0, st.Err
	}
	return st.Free - st.Floor, nil
}

// Probe writes a small file into the data folder and removes it.
func (s *Space) Probe() error { return s.o.Probe(s.o.Dir) }

// Probe writes a small file into a folder and removes it.
func Probe(dir string) error {
	f, err := os.CreateTemp(dir, ".sohbet-check-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

const probeBytes = 4096 // a block: an empty file needs none
