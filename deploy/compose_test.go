// Package deploy tests compose.yaml as Docker Compose reads it.
package deploy

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// load reads compose.yaml, which is checked by the schema, in a folder whose .env has the values; COMPOSE_PROFILES chooses profiles.
func load(t *testing.T, values map[string]string) (*types.Project, error) {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var env strings.Builder
	for name, value := range values {
		env.WriteString(name + "=" + value + "\n")
	}
	for name, content := range map[string]string{"compose.yaml": string(content), ".env": env.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	details := types.ConfigDetails{WorkingDir: dir, ConfigFiles: types.ToConfigFiles([]string{filepath.Join(dir, "compose.yaml")}), Environment: values}
	return loader.LoadWithContext(t.Context(), details, loader.WithProfiles(strings.Fields(values["COMPOSE_PROFILES"])))
}

func value(p *types.Project, service, name string) string {
	if v := p.Services[service].Environment[name]; v != nil {
		return *v
	}
	return ""
}

func TestComposeWithSQLite(t *testing.T) {
	p, err := load(t, map[string]string{"SOHBET_DOMAIN": "chat.example", "BRAND_NAME": "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(p.Services)); !slices.Equal(names, []string{"caddy", "sohbet"}) {
		t.Errorf("services %v", names)
	}
	for name, want := range map[string]string{"PUBLIC_URL": "https://chat.example", "BRAND_NAME": "Shop", "DATA_DIR": "/data", "DATABASE_URL": ""} {
		if got := value(p, "sohbet", name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	sohbet := p.Services["sohbet"]
	if len(sohbet.Ports) > 0 || !sohbet.ReadOnly {
		t.Errorf("published: %v, read-only: %v", sohbet.Ports, sohbet.ReadOnly)
	}
	if value(p, "caddy", "SOHBET_DOMAIN") != "chat.example" || value(p, "caddy", "SOHBET_ADDRESS") != "sohbet:"+value(p, "sohbet", "PORT") {
		t.Errorf("caddy: %v", p.Services["caddy"].Environment)
	}
	trusted, err := netip.ParsePrefix(value(p, "sohbet", "TRUSTED_PROXIES"))
	if err != nil || p.Networks["default"].Ipam.Config[0].Subnet != trusted.String() {
		t.Errorf("trusted %v, %v; network %v", trusted, err, p.Networks["default"].Ipam)
	}
}

func TestComposeWithPostgreSQL(t *testing.T) {
	p, err := load(t, map[string]string{"SOHBET_DOMAIN": "chat.example", "COMPOSE_PROFILES": "postgres", "POSTGRES_PASSWORD": "c0ffee", "SECRET_KEY": "key"})
	if err != nil {
		t.Fatal(err)
	}
	if got := value(p, "sohbet", "DATABASE_URL"); got != "postgres://sohbet:c0ffee@postgres/sohbet" {
		t.Errorf("DATABASE_URL is %q", got)
	}
	if value(p, "sohbet", "SECRET_KEY") != "key" || value(p, "postgres", "POSTGRES_PASSWORD") != "c0ffee" || value(p, "postgres", "POSTGRES_USER") != "sohbet" {
		t.Errorf("%v, %v", p.Services["sohbet"].Environment, p.Services["postgres"].Environment)
	}
	if on := p.Services["sohbet"].DependsOn["postgres"]; on.Condition != types.ServiceConditionHealthy || on.Required {
		t.Errorf("depends on postgres: %+v", on)
	}
	other, err := load(t, map[string]string{"SOHBET_DOMAIN": "chat.example", "DATABASE_URL": "postgres://db.example/chat"})
	if err != nil || value(other, "sohbet", "DATABASE_URL") != "postgres://db.example/chat" {
		t.Errorf("a database elsewhere: %v, %v", other, err)
	}
}

func TestComposeAsksForTheDomain(t *testing.T) {
	if _, err := load(t, nil); err == nil || !strings.Contains(err.Error(), "SOHBET_DOMAIN=your.domain") {
		t.Errorf("%v", err)
	}
}

// TestComposeSetsKnownSettings compares the names with those in config.example.env.
func TestComposeSetsKnownSettings(t *testing.T) {
	example, err := os.ReadFile("../config.example.env")
	if err != nil {
		t.Fatal(err)
	}
	p, err := load(t, map[string]string{"SOHBET_DOMAIN": "chat.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name := range p.Services["sohbet"].Environment {
		if name != "SOHBET_DOMAIN" && !strings.Contains(string(example), "\n#"+name+"=") {
			t.Errorf("%s is not a setting", name)
		}
	}
}
