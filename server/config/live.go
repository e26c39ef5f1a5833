package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Sources of a setting's value.
const (
	FromDefault     = "default"
	FromEnvironment = "environment" // or the file config.env
	FromDatabase    = "database"
)

// Setting describes a setting and its value.
type Setting struct {
	Name, Kind, Help string
	Default          string
	Value            string // "" for a secret
	Set              bool   // whether there is a value
	Source           string
	Secret           bool
	Live             bool // owners may change it, unless the environment sets it
}

// Locked reports whether owners may not change the setting.
func (s Setting) Locked() bool { return !s.Live || s.Source == FromEnvironment }

// Describe returns all settings in the order of the example file. stored are the values that owners have set, by name.
func (c *Config) Describe(stored map[string]string) []Setting {
	list := make([]Setting, 0, len(settings))
	for _, s := range settings {
		d := Setting{Name: s.name, Kind: s.kind, Help: s.about, Default: s.def, Secret: s.secret, Live: s.live, Source: FromDefault}
		value := s.def
		if v := c.given[s.name]; v != "" {
			value, d.Source = v, FromEnvironment
		} else if v := stored[s.name]; v != "" && s.live {
			value, d.Source = v, FromDatabase
		}
		d.Set = value != ""
		if !s.secret {
			d.Value = value
		}
		list = append(list, d)
	}
	return list
}

// named returns the setting with a name; nil = there is none.
func named(name string) *setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return &settings[i]
}

// Line returns the line about a wrong value, as it prevents a start.
func Line(name, value string, why error) string {
	if s := named(name); s != nil {
		return fmt.Sprintf("%s holds %s: %s", name, s.show(value), why)
	}
	return name + ": " + why.Error()
}

// Wrong says what is wrong with values, by name. The errors complete the line "NAME holds VALUE: …" and do not contain the value.
type Wrong map[string]error

// Change returns the settings with values that owners have set, where the environment sets none, after changes to them: a new value, or
// "" for none. It returns what is wrong with the changes by name; then nothing is to be stored.
func (c *Config) Change(stored, changes map[string]string) (*Config, Wrong) {
	wrong := Wrong{}
	for name, value := range changes {
		switch s := named(name); {
		case s == nil:
			wrong[name] = errors.New("there is no such setting")
		case !s.live:
			wrong[name] = errors.New("set it in the environment or in config.env, and restart")
		case c.given[name] != "":
			wrong[name] = errors.New("the environment or config.env sets it; remove it there first")
		case value != "":
			if err := s.set(&Config{}, value); err != nil {
				wrong[name] = err
			}
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	values := maps.Clone(stored)
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, changes)
	changed, _ := c.With(values)
	return changed, nil
}

// With returns the settings with values that owners have set, where the environment sets none. It ignores values that are not valid any
// more and returns their names, sorted: a stored value never prevents a start.
func (c *Config) With(stored map[string]string) (with *Config, ignored []string) {
	values := maps.Clone(c.given)
	if values == nil {
		values = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		s := named(name)
		if stored[name] == "" || s == nil || !s.live || c.given[name] != "" {
			continue
		}
		if s.set(&Config{}, stored[name]) != nil {
			ignored = append(ignored, name)
			continue
		}
		values[name] = stored[name]
	}
	with, _ = parse(values, c.railway, nil)             // each value is valid, and those that have to go together are not live
	with.given, with.SecretKeys = c.given, c.SecretKeys // Prepare may have made the keys
	return with, ignored
}
