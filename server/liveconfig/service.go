// Package liveconfig lets owners change settings while the server runs.
package liveconfig

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync/atomic"

	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/config"
)

// Store stores the settings that owners have set.
type Store interface {
	Settings() map[string]string
	ChangeSettings(ctx context.Context, by models.AgentID, changes map[string]string) error
}

// Service describes and changes settings. It is safe for concurrent use.
type Service struct {
	Store Store
	// Check returns an error for settings that are valid by themselves but cannot be applied, which begins with the name of one.
	Check func(*config.Config) error

	base    *config.Config
	current atomic.Pointer[config.Config]
}

// New returns a service for what the environment sets.
func New(store Store, base *config.Config) *Service {
	s := &Service{Store: store, base: base}
	s.current.Store(base)
	return s
}

// Current returns the settings in effect.
func (s *Service) Current() *config.Config { return s.current.Load() }

// Apply puts the settings that owners have set into effect, and returns the result with the names of those that are not valid.
func (s *Service) Apply(stored map[string]string) (now *config.Config, ignored []string) {
	now, ignored = s.base.With(stored)
	s.current.Store(now)
	return now, ignored
}

// View is docs/protocol.md, "Setting object".
type View struct {
	Value  *string `json:"value,omitempty"` // absent for secrets
	Set    bool    `json:"set"`
	Source string  `json:"source"`
	Locked bool    `json:"locked"`
	Secret bool    `json:"secret"`
	Kind   string  `json:"kind"`
	Help   string  `json:"help"`
}

// List returns all settings by name.
func (s *Service) List() map[string]View {
	views := map[string]View{}
	for _, d := range s.base.Describe(s.Store.Settings()) {
		v := View{Set: d.Set, Source: d.Source, Locked: d.Locked(), Secret: d.Secret, Kind: d.Kind, Help: d.Help}
		if !d.Secret {
			v.Value = &d.Value
		}
		views[d.Name] = v
	}
	return views
}

// Change stores changes on behalf of an agent; "" sets a setting back. It returns what is wrong with them by name, and then stores nothing.
func (s *Service) Change(ctx context.Context, by models.AgentID, changes map[string]string) (wrong config.Wrong, err error) {
	changes = maps.Clone(changes)
	for name, value := range changes {
		changes[name] = strings.TrimSpace(value) // as in the environment
	}
	next, wrong := s.base.Change(s.Store.Settings(), changes)
	if len(wrong) == 0 && s.Check != nil {
		if err := s.Check(next); err != nil {
			if wrong = blame(err, changes); len(wrong) == 0 {
				return nil, err
			}
		}
	}
	if len(wrong) > 0 {
		return wrong, nil
	}
	err = s.Store.ChangeSettings(ctx, by, changes)
	if errors.As(err, new(*models.InvalidError)) {
		return nil, apperr.Invalid("", "A value is too long, or holds a character that cannot be stored.")
	}
	return nil, err
}

// blame returns an error as that of the changed setting with whose name it begins.
func blame(err error, changes map[string]string) config.Wrong {
	for name := range changes {
		if strings.HasPrefix(err.Error(), name+" ") {
			return config.Wrong{name: err}
		}
	}
	return nil
}
