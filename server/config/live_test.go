package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestChange(t *testing.T) {
	base := load(t, "BRAND_COLOR", "#0b6b61", "PORT", "5001")
	stored := map[string]string{"BRAND_NAME": "Tea House", "CORS_ORIGINS": "https://shop.example"}
	for what, c := range map[string]struct {
		changes map[string]string
		wrong   string // names
		want    func(*Config) bool
	}{
		"a new value":      {map[string]string{"AGENT_NAME": "Ayşe"}, "", func(c *Config) bool { return c.Brand.Agent == "Ayşe" && c.Brand.Name == "Tea House" }},
		"another value":    {map[string]string{"BRAND_NAME": "Coffee"}, "", func(c *Config) bool { return c.Brand.Name == "Coffee" && c.Port == 5001 }},
		"set back":         {map[string]string{"CORS_ORIGINS": ""}, "", func(c *Config) bool { return len(c.CORSOrigins) == 0 }},
		"from environment": {map[string]string{"BRAND_COLOR": "#ffffff"}, "BRAND_COLOR", nil},
		"not live":         {map[string]string{"PORT": "80"}, "PORT", nil},
		"unknown":          {map[string]string{"BRAND": "x", "AGENT_NAME": "y"}, "BRAND", nil},
		"two wrong":        {map[string]string{"OPENING_HOURS": "sometimes", "RATE_LIMIT_LOGIN": "often", "AGENT_NAME": "y"}, "OPENING_HOURS RATE_LIMIT_LOGIN", nil},
		"an origin":        {map[string]string{"CORS_ORIGINS": "https://*.example"}, "CORS_ORIGINS", nil},
		"a short secret":   {map[string]string{"IDENTITY_SECRET": "short"}, "IDENTITY_SECRET", nil},
	} {
		changed, wrong := base.Change(stored, c.changes)
		if names := strings.Join(slices.Sorted(maps.Keys(wrong)), " "); names != c.wrong {
			t.Errorf("%s: wrong %q, want %q", what, names, c.wrong)
		}
		for name, why := range wrong {
			if value := c.changes[name]; len(value) > 4 && strings.Contains(why.Error(), value) {
				t.Errorf("%s: %s quotes the value: %v", what, name, why)
			}
		}
		if c.want != nil && (changed == nil || !c.want(changed)) {
			t.Errorf("%s: %+v", what, changed)
		}
	}
	if len(stored) != 2 || base.Brand.Name != "" {
		t.Errorf("changed in place: %v, %+v", stored, base.Brand)
	}
}

// What is stored never prevents a start, whatever an owner of an earlier version stored.
func TestWithIgnoresWhatIsNotValid(t *testing.T) {
	base := load(t, "AGENT_NAME", "Ayşe")
	with, ignored := base.With(map[string]string{"BRAND_NAME": "Tea House", "OPENING_HOURS": "sometimes", "PORT": "0", "GONE": "x", "AGENT_NAME": "other"})
	if len(ignored) != 1 || ignored[0] != "OPENING_HOURS" {
		t.Errorf("ignored %v", ignored)
	}
	if with.Brand.Name != "Tea House" || with.Brand.Agent != "Ayşe" || with.OpeningHours != nil || with.Port != 5000 {
		t.Errorf("%+v", with)
	}
}

func TestDescribe(t *testing.T) {
	c := load(t, "AGENT_NAME", "Ayşe", "METRICS_TOKEN", "secret-token")
	found := map[string]Setting{}
	for _, s := range c.Describe(map[string]string{"BRAND_NAME": "Tea House", "AGENT_NAME": "other", "IDENTITY_SECRET": strings.Repeat("x", 40), "PORT": "1"}) {
		found[s.Name] = s
	}
	if len(found) != len(settings) {
		t.Errorf("%d of %d", len(found), len(settings))
	}
	for name, want := range map[string]Setting{
		"BRAND_NAME":      {Value: "Tea House", Set: true, Source: FromDatabase, Live: true},
		"AGENT_NAME":      {Value: "Ayşe", Set: true, Source: FromEnvironment, Live: true},
		"METRICS_TOKEN":   {Set: true, Source: FromEnvironment, Secret: true, Live: true},
		"IDENTITY_SECRET": {Set: true, Source: FromDatabase, Secret: true, Live: true},
		"SECRET_KEY":      {Source: FromDefault, Secret: true},
		"PORT":            {Value: "5000", Set: true, Source: FromDefault},
		"BRAND_COLOR":     {Source: FromDefault, Live: true},
	} {
		got := found[name]
		if got.Value != want.Value || got.Set != want.Set || got.Source != want.Source || got.Secret != want.Secret || got.Live != want.Live {
			t.Errorf("%s: %+v", name, got)
		}
		if locked := want.Source == FromEnvironment || !want.Live; got.Locked() != locked {
			t.Errorf("%s: locked %v", name, got.Locked())
		}
	}
}
