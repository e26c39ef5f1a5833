package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// process reads the resource usage of all processes of the server under test from /proc (Linux). A nil process measures nothing.
type process struct{ pids []int }

// clockTick is USER_HZ, which Linux fixes at 100 in /proc.
const clockTick = 10 * time.Millisecond

// cpu returns the user and system time used so far, including threads that have ended.
func (p *process) cpu() (sum time.Duration, err error) {
	if p == nil {
		return 0, nil
	}
	for _, pid := range p.pids {
		one, err := cpu(pid)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

func cpu(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command in parentheses and may itself contain spaces and parentheses, so fields are counted from the last
	// one.
	_, after, ok := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	f := bytes.Fields(after)
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: unexpected format", pid)
	}
	user, err1 := strconv.ParseInt(string(f[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(f[12]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("/proc/%d/stat: unexpected format", pid)
	}
	return time.Duration(user+system) * clockTick, nil
}

// databaseCPU returns the CPU time of the postmaster and its children so far, including those that have ended. Process 0 has none.
func databaseCPU(pid int) (sum time.Duration, err error) {
	if pid == 0 {
		return 0, nil
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	postmaster := strconv.Itoa(pid)
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the process has just ended
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 15 || string(f[1]) != postmaster && filepath.Base(filepath.Dir(path)) != postmaster {
			continue
		}
		fields := f[11:13] // utime, stime
		if string(f[1]) != postmaster {
			fields = f[11:15] // and cutime, cstime: those of waited-for children
		}
		for _, ticks := range fields {
			n, err := strconv.ParseInt(string(ticks), 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * clockTick
		}
	}
	return sum, nil
}

// memory is the memory usage of a process, in bytes.
type memory struct {
	RSS int64 `json:"rss"` // resident set, including shared pages
	PSS int64 `json:"pss"` // proportional set size: shared pages are divided by the number of their users
}

func (p *process) memory() (memory, error) {
	if p == nil {
		return memory{}, nil
	}
	var sum memory
	for _, pid := range p.pids {
		m, err := held(pid)
		if err != nil {
			return memory{}, err
		}
		sum.RSS, sum.PSS = sum.RSS+m.RSS, sum.PSS+m.PSS
	}
	return sum, nil
}

func held(pid int) (memory, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return memory{}, err
	}
	var m memory
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) != 3 || string(f[2]) != "kB" {
			continue
		}
		kb, err := strconv.ParseInt(string(f[1]), 10, 64)
		if err != nil {
			continue
		}
		switch string(f[0]) {
		case "Rss:":
			m.RSS = kb << 10
		case "Pss:":
			m.PSS = kb << 10
		}
	}
	if m.RSS == 0 {
		return m, fmt.Errorf("/proc/%d/smaps_rollup: no Rss line", pid)
	}
	return m, nil
}
