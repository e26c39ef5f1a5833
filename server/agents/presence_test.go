package agents_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/server/agents"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
)

// link connects processes like Redis.
type link struct {
	mu   sync.Mutex
	ends []*end
}

type end struct {
	*link
	number uint64
	down   bool
	fn     func(process uint64, data string)
}

func (l *link) end() *end {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &end{link: l, number: uint64(len(l.ends))}
	l.ends = append(l.ends, e)
	return e
}

func (e *end) OnShared(_ string, fn func(process uint64, data string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fn = fn
}

func (e *end) Share(_, data string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, other := range e.ends {
		if other != e && other.fn != nil && !e.down && !other.down {
			go other.fn(e.number, data)
		}
	}
}

func (e *end) Current() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.down
}

func (e *end) setDown(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}

// process is one of several with the same agents, and what its consoles were told last.
type process struct {
	*agents.Presence
	recorder chattest.Recorder
	events   []*chat.Event
	stop     func()
}

func newProcess(t *testing.T, team func() []models.Agent, sharer agents.Sharer) *process {
	t.Helper()
	p := &process{}
	p.Presence = agents.NewPresence(agents.PresenceOptions{Agents: team, Publisher: &p.recorder, Sharer: sharer, Base: "/chat", Grace: 100 * time.Millisecond, LastWord: 5 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	p.stop = func() { cancel(); <-done }
	t.Cleanup(p.stop)
	return p
}

// until waits until the last event of a name, about a thread if it is not empty, is the wanted one in JSON.
func (p *process) until(t *testing.T, name, thread, want string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(time.Minute); got != want; time.Sleep(5 * time.Millisecond) {
		for _, published := range p.recorder.Take() {
			if !published.Here || len(published.Thread) > 0 {
				t.Errorf("published to others than the agents of this process: %+v", published)
			}
			p.events = append(p.events, published.Agents...)
		}
		for _, e := range p.events {
			if data, err := json.Marshal(e.Payload); err != nil {
				t.Fatal(err)
			} else if e.Name == name && strings.Contains(string(data), thread) {
				got = string(data)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is %s, want %s", name, got, want)
		}
	}
}

const (
	adaOnline = `{"id":1,"name":"Ada","avatar_url":"/chat/ada.png","online":true,"away":false,"switched":false}`
	adaIdle   = `{"id":1,"name":"Ada","avatar_url":"/chat/ada.png","online":true,"away":true,"switched":false}`
	adaGone   = `{"id":1,"name":"Ada","avatar_url":"/chat/ada.png","online":false,"away":true,"switched":false}`
	bobOnline = `{"id":2,"name":"Bob","avatar_url":"","online":true,"away":false,"switched":false}`
	bobSwitch = `{"id":2,"name":"Bob","avatar_url":"","online":true,"away":true,"switched":true}`
	bobGone   = `{"id":2,"name":"Bob","avatar_url":"","online":false,"away":true,"switched":false}`
	adaViews  = `{"thread_id":"t","agents":[{"id":1,"name":"Ada","avatar_url":"/chat/ada.png"}]}`
	bothView  = `{"thread_id":"t","agents":[{"id":1,"name":"Ada","avatar_url":"/chat/ada.png"},{"id":2,"name":"Bob","avatar_url":""}]}`
	noneView  = `{"thread_id":"t","agents":[]}`
)

func TestPresence(t *testing.T) {
	t.Parallel()
	since := time.Now()
	var mu sync.Mutex
	team := []models.Agent{{ID: 1, Name: "Ada", AvatarURL: "/ada.png"}, {ID: 2, Name: "Bob"}, {ID: 3, Name: "Eve", DisabledAt: &since}}
	list := func() []models.Agent {
		mu.Lock()
		defer mu.Unlock()
		return append([]models.Agent{}, team...)
	}
	var l link
	ends := []*end{l.end(), l.end(), l.end()}
	var all []*process
	for _, e := range ends {
		all = append(all, newProcess(t, list, e))
	}
	everywhere := func(name, thread, want string) {
		t.Helper()
		for _, p := range all {
			p.until(t, name, thread, want)
		}
	}
	all[0].Set("a1", agents.Console{Agent: 1, Visible: true, Thread: "t"})
	all[0].Set("eve", agents.Console{Agent: 3, Visible: true, Thread: "t"})
	everywhere("agents_presence", "", "["+adaOnline+","+bobGone+"]")
	everywhere("agent_viewing", `"t"`, adaViews)
	all[1].Set("b1", agents.Console{Agent: 2, Visible: true, Thread: "t"})
	everywhere("agents_presence", "", "["+adaOnline+","+bobOnline+"]")
	everywhere("agent_viewing", `"t"`, bothView)
	if !all[2].InView(1) || all[2].InView(9) || !all[1].Of(1).Online {
		t.Error("the third process does not know of Ada's console")
	}
	var greeting strings.Builder
	all[2].Greet(func(name string, payload any) {
		data, err := json.Marshal(payload)
		if err != nil {
			t.Error(err)
		}
		greeting.WriteString(name + string(data))
	})
	if greeting.String() != "agents_presence["+adaOnline+","+bobOnline+"]agent_viewing"+bothView {
		t.Errorf("a new console is told %s", greeting.String())
	}
	later := newProcess(t, list, l.end()) // learns what the others shared before
	later.until(t, "agent_viewing", `"t"`, bothView)

	// An agent is idle when all consoles are.
	all[2].Set("a2", agents.Console{Agent: 1, Idle: true})
	all[1].Set("b1", agents.Console{Agent: 2})
	everywhere("agent_viewing", `"t"`, adaViews)
	all[0].Set("a1", agents.Console{Agent: 1, Visible: true, Idle: true, Thread: "t"})
	everywhere("agents_presence", "", "["+adaIdle+","+bobOnline+"]")
	everywhere("agent_viewing", `"t"`, noneView)
	mu.Lock()
	team[1].AwaySince = &since
	mu.Unlock()
	for _, p := range all {
		p.Changed()
	}
	everywhere("agents_presence", "", "["+adaIdle+","+bobSwitch+"]")
	mu.Lock()
	team[1].AwaySince = nil
	mu.Unlock()

	// A process that cannot reach the others keeps what it knows, and nothing of it counts as seen by an agent.
	ends[2].setDown(true)
	all[1].Remove("b1")
	all[2].Set("a2", agents.Console{Agent: 1})
	all[2].until(t, "agents_presence", "", "["+adaOnline+","+bobOnline+"]")
	if all[2].InView(1) {
		t.Error("a console that may be gone counts as in view")
	}
	all[0].until(t, "agents_presence", "", "["+adaIdle+","+bobGone+"]")
	ends[2].setDown(false)
	everywhere("agents_presence", "", "["+adaOnline+","+bobGone+"]")
	all[2].stop() // and its consoles are gone
	all = all[:2]
	everywhere("agents_presence", "", "["+adaIdle+","+bobGone+"]")
	all[0].Remove("a1")
	everywhere("agents_presence", "", "["+adaGone+","+bobGone+"]")
}

// Who writes in Telegram is there for a while, for all processes.
func TestPresenceInTelegram(t *testing.T) {
	t.Parallel()
	var l link
	list := func() []models.Agent { return []models.Agent{{ID: 2, Name: "Bob"}} }
	here, elsewhere := newProcess(t, list, l.end()), newProcess(t, list, l.end())
	for range 2 {
		here.Wrote(2)
		for _, want := range []string{"[" + bobOnline + "]", "[" + bobGone + "]"} {
			for _, p := range []*process{here, elsewhere} {
				p.until(t, "agents_presence", "", want)
			}
		}
	}
}

// The consoles of a process that ends without a word are forgotten.
func TestPresenceOfALostProcess(t *testing.T) {
	t.Parallel()
	var l link
	list := func() []models.Agent { return []models.Agent{{ID: 2, Name: "Bob"}} }
	p, lost := newProcess(t, list, l.end()), l.end()
	p.until(t, "agents_presence", "", "["+bobGone+"]")
	lost.Share("consoles", `[{"agent":2,"visible":true}]`)
	p.until(t, "agents_presence", "", "["+bobOnline+"]")
	p.until(t, "agents_presence", "", "["+bobGone+"]")
	lost.Share("consoles", `nonsense`)
	if p.Of(2).Online {
		t.Error("nonsense made an agent online")
	}
}

var _ agents.Sharer = (*broker.Memory)(nil)
