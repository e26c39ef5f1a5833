package broker

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// lostAfter is how long after a reconnection visitors may be missing in Redis before they are told to be offline: other processes
	// may reconnect too. lostSoon is the same if all known processes are registered.
	lostAfter = 1500 * time.Millisecond
	lostSoon  = 500 * time.Millisecond
	// pauseAfter is how long this process must have been standing still to be called paused, and settleTime how long it then takes to
	// notice the connections that have ended meanwhile.
	pauseAfter = 4 * time.Second
	settleTime = time.Second
	// pausedLately is how long after a pause a visitor without a connection may have been gone since before its end.
	pausedLately = 15 * time.Second
)

// pause notices that this process did not run for a while.
type pause struct {
	mu       sync.Mutex
	last, at time.Time // last sign of life; end of the last pause
}

// since records a sign of life and returns how long ago the last pause ended.
func (p *pause) since(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	// System sleep stops the monotonic clock.
	if !p.last.IsZero() && max(now.Sub(p.last), now.Round(0).Sub(p.last.Round(0))) > pauseAfter {
		p.at = now
	}
	p.last = now
	if p.at.IsZero() {
		return math.MaxInt64
	}
	return now.Sub(p.at)
}

// ask requests that a visitor's state is read from Redis.
func (p *presence) ask(visitor string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.doubt == nil {
		p.doubt = make(map[string]bool)
	}
	p.doubt[visitor] = true
	p.check.Set()
}

// runPresenceChecks compares what this process told its clients with Redis when announcements may have been missed.
func (r *Redis) runPresenceChecks() {
	p := &r.presence
	for {
		select {
		case <-p.check:
		case <-r.ctx.Done():
			return
		}
		p.mu.Lock()
		doubt := p.doubt
		p.doubt = nil
		p.mu.Unlock()
		err := r.checkPresence(doubt)
		if err != nil && r.ctx.Err() == nil {
			r.log.Debug("broker: failed to compare presence", "error", err)
			if r.up.Load() { // otherwise it is repeated after the reconnection
				time.AfterFunc(heartbeatEvery, p.check.Set)
			}
		}
	}
}

// checkPresence first reads who is online, and some time later who is not.
func (r *Redis) checkPresence(doubt map[string]bool) error {
	if !r.up.Load() {
		return nil
	}
	found := doubt
	if found == nil {
		found = make(map[string]bool)
	}
	processes, err := r.client.ZRange(r.ctx, r.names.processes(), 0, -1).Result()
	for i := 0; i < len(processes) && err == nil; i++ {
		if processes[i] != r.id() {
			err = r.members(r.ctx, processes[i], func(visitor string) {
				if !r.presence.view.get(visitor).online() {
					found[visitor] = true
				}
			})
		}
	}
	if err != nil {
		return err
	}
	list := make([]string, 0, len(found))
	for visitor := range found {
		list = append(list, visitor)
	}
	if err := r.verify(list, true); err != nil {
		return err
	}
	wait := lostAfter
	if r.peers.among(processes) {
		wait = lostSoon
	}
	select {
	case <-time.After(wait):
	case <-r.ctx.Done():
		return nil
	}
	for visitor := range doubt {
		list = append(list, visitor)
	}
	if err := r.verify(append(r.presence.view.visitors(), list...), false); err != nil {
		return err
	}
	r.presence.checked.Add(1)
	return nil
}

// visitorHere returns a visitor's thread, and whether the visitor is connected to this process.
func (r *Redis) visitorHere(visitor string) (thread string, connected bool) {
	thread, ok := r.names.id(visitor)
	if ok {
		_, connected = r.local.Visitors.VisitorHere(thread)
	}
	return thread, connected
}

// verify reads the state of visitors and tells the clients of this process what they do not know, only of those who are online or of all.
func (r *Redis) verify(visitors []string, onlineOnly bool) error {
	visitors = slices.DeleteFunc(visitors, func(visitor string) bool {
		// Who is connected here is online, but was not announced by this process if they were online elsewhere.
		_, connected := r.visitorHere(visitor)
		return connected && r.presence.view.get(visitor).online()
	})
	for len(visitors) > 0 && r.ctx.Err() == nil {
		n := min(len(visitors), presenceMost)
		version, online, err := r.isOnline(r.ctx, visitors[:n])
		if err != nil {
			return err
		}
		changed := make(map[bool][]string)
		for i, visitor := range visitors[:n] {
			thread, connected := r.visitorHere(visitor)
			if r.presence.view.get(visitor).online() == online[i] || !online[i] && (onlineOnly || connected) {
				continue
			}
			if o, _ := r.presence.view.apply(visitor, stateOf(online[i], version), nil); o != stale {
				changed[online[i]] = append(changed[online[i]], thread)
			}
		}
		for online, threads := range changed {
			if r.local.Watched == nil || r.local.Watched() {
				r.local.Visitors.Announce(r.ctx, threads, online, version, true)
			}
		}
		visitors = visitors[n:]
	}
	return nil
}

// heartbeat sends a heartbeat, and takes over the visitors of crashed processes.
func (r *Redis) heartbeat() {
	ctx, cancel := context.WithTimeout(r.ctx, answerTimeout)
	defer cancel()
	answer, err := heartbeatScript.Run(ctx, r.client, []string{r.names.processes()}, r.names.visitors(), r.id(), int(heartbeatLost.Seconds())).StringSlice()
	if err == nil {
		err = r.client.Publish(ctx, r.names.all(), (&packet{kind: kindHeartbeat, from: r.self}).encode(nil)).Err()
	}
	if err != nil {
		r.log.Debug("broker: failed to send a heartbeat", "error", err)
		return
	}
	if len(answer) == 0 || answer[0] == "0" { // Redis lost its data, or this process was taken for crashed
		r.presence.claimAll()
	}
	if r.since.ago() < heartbeatLost || r.presence.pause.since(time.Now()) < heartbeatLost {
		return // right after an outage, or a pause of the whole machine, all heartbeats are old
	}
	if r.peers.lost() { // a crashed process may have stored messages, or changed presence, that it did not announce
		r.missed.Set()
		r.presence.check.Set()
	}
	for _, process := range answer[min(1, len(answer)):] {
		if process == r.id() {
			continue
		}
		found, err := inheritScript.Run(ctx, r.client, []string{r.names.processes(), r.names.version()}, r.names.visitors(), process, r.presence.view.highest()).StringSlice()
		if err != nil {
			r.log.Debug("broker: failed to take over the visitors of a stopped process", "error", err)
			r.presence.check.Set()
			return
		}
		version, lost := inherited(found)
		r.presence.view.seen(version)
		if len(lost) > 0 {
			r.log.Info("visitors of a stopped process have not reconnected", "visitors", len(lost))
			r.working.Go(func() { r.announceLost(version, lost) }) // there may be thousands, which must not delay heartbeats
		}
	}
}

// inherited returns what inheritScript found.
func inherited(found []string) (version int64, visitors []string) {
	if len(found) > 0 {
		version, _ = strconv.ParseInt(found[0], 10, 64) // the script's own number
		visitors = found[1:]
	}
	return version, visitors
}

// announceLost announces that visitors of a stopped process are offline, except those that have come back meanwhile.
func (r *Redis) announceLost(version int64, visitors []string) {
	for len(visitors) > 0 && r.ctx.Err() == nil {
		n := min(len(visitors), presenceMost)
		_, online, err := r.isOnline(r.ctx, visitors[:n])
		var lost []string
		for i, visitor := range visitors[:n] {
			if thread, connected := r.visitorHere(visitor); (err != nil || !online[i]) && !connected {
				lost = append(lost, thread)
			}
		}
		r.local.Visitors.Announce(r.ctx, lost, false, version, false)
		for r.queue.waiting() > maxWaiting/2 && r.ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		visitors = visitors[n:]
	}
}
