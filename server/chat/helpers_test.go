package chat_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/broker"
	"sohbet/server/chat"
	"sohbet/server/chat/chattest"
)

func names(events []*chat.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Name)
	}
	return strings.Join(out, " ")
}

// allow is a Limiter with a fixed total for all keys.
type allow struct {
	mu   sync.Mutex
	left int
}

func (a *allow) Allow(_, _ string) (bool, time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left == 0 {
		return false, 1500 * time.Millisecond
	}
	a.left--
	return true, 0
}

type env struct {
	*chat.Service
	recorder *chattest.Recorder
	store    *models.Store
}

const grace = 20 * time.Millisecond

func newEnv(s *models.Store, messages, threads int) env {
	h := &chattest.Recorder{}
	return env{chat.New(chat.Options{
		Store: s, Publisher: h, Presence: &broker.Memory{}, Topics: &broker.Memory{}, Messages: &allow{left: messages}, NewThreads: &allow{left: threads}, OfflineAfter: grace,
	}), h, s}
}

func visitorAt(socket string) chat.Actor {
	return chat.Actor{Role: chat.Visitor, SocketID: socket, Address: "192.0.2.1", Threads: chat.NewThreadSet()}
}

var agent = chat.Actor{Role: chat.Agent, Owner: true, SocketID: "agent"}

// member adds an agent.
func (w env) member(t *testing.T, name, role string) (models.Agent, chat.Actor) {
	t.Helper()
	who, err := w.store.AddAgent(t.Context(), models.Agent{Name: name, Email: name + "@shop.example", Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return who, chat.Actor{Role: chat.Agent, Name: name, AgentID: models.AgentID(who.ID), SocketID: name}
}

func (w env) join(t *testing.T, a chat.Actor, name string) string {
	t.Helper()
	j, err := w.Join(t.Context(), a, chat.JoinRequest{Profile: chat.Profile{DisplayName: name}})
	if err != nil {
		t.Fatal(err)
	}
	return j.ThreadID
}

func (w env) post(t *testing.T, a chat.Actor, thread, text string) chat.Message {
	t.Helper()
	m, err := w.Post(t.Context(), a, chat.Post{ThreadID: thread, Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func code(err error) string {
	var e *apperr.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// take returns what was published since the last call, including what follows an acknowledgement.
func (w env) take(t *testing.T) []chat.Publication {
	t.Helper()
	if err := w.store.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	return w.recorder.Take()
}

// pick returns fields of a payload as JSON.
func pick(t *testing.T, payload any, fields ...string) string {
	t.Helper()
	all, some := map[string]any{}, map[string]any{}
	if err := json.Unmarshal([]byte(wire(t, payload)), &all); err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		some[f] = all[f]
	}
	return wire(t, some)
}
