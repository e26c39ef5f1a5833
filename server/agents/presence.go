package agents

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sohbet/models"
	"sohbet/server/chat"
	"sohbet/server/signal"
)

const (
	consolesTopic = "consoles"
	gatherFor     = 250 * time.Millisecond // changes within this time are shared and published together
	shareEvery    = 5 * time.Second
	peerLost      = 3 * shareEvery // a process that has not shared its consoles for this long has none
)

// Console is what a connected console last said of itself.
type Console struct {
	Agent   int64  `json:"agent"`
	Visible bool   `json:"visible,omitempty"`
	Idle    bool   `json:"idle,omitempty"`   // without input for AGENT_IDLE
	Thread  string `json:"thread,omitempty"` // that it shows
}

// Sharer passes what each process knows of its consoles to the others.
type Sharer interface {
	Share(topic, data string)
	OnShared(topic string, fn func(process uint64, data string))
	// Current reports whether the other processes can be reached.
	Current() bool
}

// PresenceOptions are the dependencies of a [Presence].
type PresenceOptions struct {
	Agents    func() []models.Agent
	Publisher chat.Publisher
	Sharer    Sharer
	Base      string        // URL path prefix of this server's files in browsers; "" = the root
	Grace     time.Duration // for which an agent whose last console is closed counts as online
	LastWord  time.Duration // for which an agent who wrote in Telegram counts as online
}

// Presence knows which agents have consoles, and which threads these show, on all processes. Each process shares all of its consoles when
// one of them changes, and regularly, so that those of a process that ends without a word are forgotten. It is safe for concurrent use.
type Presence struct {
	PresenceOptions
	changed signal.Signal

	mu        sync.Mutex
	here      map[string]Console             // by socket
	elsewhere map[uint64]peer                // by process
	seen      map[int64]time.Time            // when an agent last had a console
	wrote     map[models.AgentID]*time.Timer // run while agents count as online because they wrote in Telegram
	news      bool                           // the others are to be told of this process's consoles before the next tick
	published state
}

// peer is what another process has shared.
type peer struct {
	at       time.Time
	consoles []Console
}

// Status is docs/protocol.md, "Agent status object".
type Status struct {
	chat.AgentReference
	Online   bool `json:"online"`
	Away     bool `json:"away"`     // set away, idle, or not online
	Switched bool `json:"switched"` // set away
}

// state is what consoles are told.
type state struct {
	team    []Status
	viewing map[string][]chat.AgentReference // by thread
}

type viewing struct {
	ThreadID string                `json:"thread_id"`
	Agents   []chat.AgentReference `json:"agents"`
}

// NewPresence returns the service. It publishes while Run runs.
func NewPresence(o PresenceOptions) *Presence {
	p := &Presence{
		PresenceOptions: o, changed: signal.New(),
		here: make(map[string]Console), elsewhere: make(map[uint64]peer), seen: make(map[int64]time.Time), wrote: make(map[models.AgentID]*time.Timer),
	}
	o.Sharer.OnShared(consolesTopic, p.take)
	return p
}

// Set records a connected console, or what has changed of it.
func (p *Presence) Set(socketID string, c Console) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(socketID, c)
}

// set is like Set. p.mu is held.
func (p *Presence) set(socketID string, c Console) {
	if before, known := p.here[socketID]; known && before == c {
		return
	}
	p.here[socketID], p.news = c, true
	p.changed.Set()
}

// Remove records that a socket is not a console any more.
func (p *Presence) Remove(socketID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(socketID)
}

// remove is like Remove. p.mu is held.
func (p *Presence) remove(socketID string) {
	if c, known := p.here[socketID]; known {
		p.seen[c.Agent] = time.Now()
		delete(p.here, socketID)
		p.news = true
		p.changed.Set()
	}
}

// Wrote records that an agent wrote in Telegram: for a while that is like a console.
func (p *Presence) Wrote(agent models.AgentID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprint("telegram ", agent) // no socket has this id
	p.set(key, Console{Agent: int64(agent)})
	if before := p.wrote[agent]; before != nil {
		before.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(p.LastWord, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.wrote[agent] == timer {
			delete(p.wrote, agent)
			p.remove(key)
		}
	})
	p.wrote[agent] = timer
}

// Changed is to be called when agents have changed.
func (p *Presence) Changed() { p.changed.Set() }

// take records what another process shared.
func (p *Presence) take(process uint64, data string) {
	var consoles []Console
	if json.Unmarshal([]byte(data), &consoles) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.elsewhere[process]
	now := time.Now()
	for _, c := range before.consoles {
		p.seen[c.Agent] = now
	}
	p.elsewhere[process] = peer{now, consoles}
	p.news = p.news || !known // a new process gets this one's consoles at once
	if !known || !slices.Equal(before.consoles, consoles) {
		p.changed.Set()
	}
}

// share sends this process's consoles to the others, regularly or if they are not known to have them.
func (p *Presence) share(regularly bool) {
	p.mu.Lock()
	news := p.news
	p.news = false
	consoles := slices.Collect(maps.Values(p.here))
	p.mu.Unlock()
	if !news && !regularly {
		return
	}
	slices.SortFunc(consoles, compareConsoles)
	if data, err := json.Marshal(consoles); err == nil {
		p.Sharer.Share(consolesTopic, string(data))
	}
}

// compareConsoles orders consoles so that the same ones are shared in the same order.
func compareConsoles(a, b Console) int {
	rank := func(c Console) string { return fmt.Sprint(c.Thread, c.Visible, c.Idle) }
	return cmp.Or(cmp.Compare(a.Agent, b.Agent), strings.Compare(rank(a), rank(b)))
}

// forget removes what other processes shared too long ago; while none can be reached, what is known stays.
func (p *Presence) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, current := time.Now(), p.Sharer.Current()
	for process, other := range p.elsewhere {
		switch {
		case !current:
			p.elsewhere[process] = peer{now, other.consoles}
		case now.Sub(other.at) > peerLost:
			delete(p.elsewhere, process)
		}
	}
}

// consoles calls f with each console on all processes. p.mu is held.
func (p *Presence) consoles(f func(Console)) {
	for _, c := range p.here {
		f(c)
	}
	for _, other := range p.elsewhere {
		for _, c := range other.consoles {
			f(c)
		}
	}
}

// now computes what consoles are to be told. p.mu is held.
func (p *Presence) now() state {
	active, views, now := make(map[int64]bool), make(map[string][]int64), time.Now()
	p.consoles(func(c Console) {
		active[c.Agent] = active[c.Agent] || !c.Idle
		p.seen[c.Agent] = now
		if c.Thread != "" && c.Visible && !c.Idle {
			views[c.Thread] = append(views[c.Thread], c.Agent)
		}
	})
	st := state{team: []Status{}, viewing: make(map[string][]chat.AgentReference)}
	for _, a := range p.Agents() {
		if !a.Enabled() {
			continue
		}
		ref := chat.ReferTo(a, p.Base)
		last, known := p.seen[a.ID]
		online := known && now.Sub(last) < p.Grace
		isActive, connected := active[a.ID]
		st.team = append(st.team, Status{AgentReference: ref, Online: online, Away: a.Away() || !online || connected && !isActive, Switched: a.Away()})
		for thread, by := range views {
			if slices.Contains(by, a.ID) {
				st.viewing[thread] = append(st.viewing[thread], ref)
			}
		}
	}
	return st
}

// Of returns the status of an agent; of a disabled one it is offline and away.
func (p *Presence) Of(agent int64) Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.now().team {
		if s.ID == agent {
			return s
		}
	}
	return Status{Away: true}
}

// InView reports whether an agent has a visible console on some process. Consoles of processes that cannot be reached are not counted.
func (p *Presence) InView(agent int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, current := false, p.Sharer.Current()
	for _, c := range p.here {
		found = found || c.Agent == agent && c.Visible
	}
	for _, other := range p.elsewhere {
		found = found || current && slices.ContainsFunc(other.consoles, func(c Console) bool { return c.Agent == agent && c.Visible })
	}
	return found
}

// Greet calls emit with the events that tell a newly connected console the present state; those that follow tell what changes.
func (p *Presence) Greet(emit func(name string, payload any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.published.team == nil { // Run has not begun
		p.published = p.now()
	}
	emit("agents_presence", p.published.team)
	for thread, who := range p.published.viewing {
		emit("agent_viewing", viewing{thread, who})
	}
}

// publish tells the consoles of this process what has changed.
func (p *Presence) publish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, now := p.published, p.now()
	p.published = now
	var events []*chat.Event
	if !slices.Equal(before.team, now.team) {
		events = append(events, &chat.Event{Name: "agents_presence", Payload: now.team})
	}
	for thread, who := range now.viewing {
		if !slices.Equal(before.viewing[thread], who) {
			events = append(events, &chat.Event{Name: "agent_viewing", Payload: viewing{thread, who}})
		}
	}
	for thread := range before.viewing {
		if now.viewing[thread] == nil {
			events = append(events, &chat.Event{Name: "agent_viewing", Payload: viewing{thread, []chat.AgentReference{}}})
		}
	}
	if len(events) > 0 {
		p.Publisher.Publish(chat.Publication{Agents: events, Here: true})
	}
}

// Run shares and publishes changes until ctx ends.
func (p *Presence) Run(ctx context.Context) {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	for regularly := false; ; {
		p.forget()
		p.share(regularly)
		p.publish()
		select {
		case <-ctx.Done():
			p.Sharer.Share(consolesTopic, "[]")
			return
		case <-tick.C:
			regularly = true
			continue
		case <-p.changed:
			regularly = false
		}
		select {
		case <-ctx.Done():
		case <-time.After(gatherFor):
		}
	}
}
