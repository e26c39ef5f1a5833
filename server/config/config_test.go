package config

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite config.example.env")

const examplePath = "../../config.example.env"

func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func load(t *testing.T, pairs ...string) *Config {
	t.Helper()
	c, err := Load(t.TempDir(), env(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const key32 = "0123456789abcdef0123456789abcdef"

func TestDefaults(t *testing.T) {
	c := load(t)
	want := &Config{
		Port: 5000, AdminUsername: "admin", DataDir: "data", DatabaseURL: "sqlite://data/chat.db",
		Telegram:     Telegram{APIURL: "https://api.telegram.org"},
		Cloudinary:   Cloudinary{UploadPrefix: "https://api.cloudinary.com"},
		MessageLimit: Rate{30, time.Minute}, UploadLimit: Rate{10, 5 * time.Minute},
		APILimit: Rate{300, time.Minute}, LoginLimit: Rate{5, 15 * time.Minute},
		UploadDisk: 1 << 30, MinFree: 128 << 20, CacheTTL: 3 * time.Minute, AgentIdle: 15 * time.Minute, AuditRetention: 365 * 24 * time.Hour, LogLevel: slog.LevelInfo, Locale: "tr",
		Polling: true, Websocket: true, AddressHeader: "X-Forwarded-For",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("defaults:\n got %+v\nwant %+v", c, want)
	}
	if c.Telegram.On() || c.Cloudinary.CloudName != "" || c.Postgres() {
		t.Error("everything outside should be off by default")
	}
}

func TestGoodValues(t *testing.T) {
	for _, tc := range []struct {
		name  string
		env   []string
		check func(*Config) bool
	}{
		{"port zero", []string{"PORT", "0"}, func(c *Config) bool { return c.Port == 0 }},
		{"spaces around", []string{"PORT", " 8080 "}, func(c *Config) bool { return c.Port == 8080 }},
		{"empty means default", []string{"PORT", ""}, func(c *Config) bool { return c.Port == 5000 }},
		{"ipv6 host", []string{"HOST", "[::1]"}, func(c *Config) bool { return c.Host == "::1" }},
		{"rotation", []string{"SECRET_KEY", key32 + ", " + key32 + "x"}, func(c *Config) bool {
			return reflect.DeepEqual(c.SecretKeys, []string{key32, key32 + "x"})
		}},
		{"data dir moves the database", []string{"DATA_DIR", "/srv/chat/"}, func(c *Config) bool {
			return c.DatabaseURL == "sqlite:///srv/chat/chat.db"
		}},
		{"postgres", []string{"DATABASE_URL", "postgresql://u:p@db/x", "SECRET_KEY", key32}, (*Config).Postgres},
		{"postgres by socket", []string{"DATABASE_URL", "postgres:///x?host=/run/postgresql", "SECRET_KEY", key32}, (*Config).Postgres},
		{"telegram", []string{"TELEGRAM_BOT_TOKEN", "123:abc_D-", "TELEGRAM_CHAT_ID", "-1001234567890", "TELEGRAM_WEBHOOK_URL", "https://chat.example/"}, func(c *Config) bool {
			return c.Telegram.On() && c.Telegram.ChatID == -1001234567890 && c.Telegram.WebhookURL == "https://chat.example"
		}},
		{"plain webhook with an API of one's own", []string{"TELEGRAM_BOT_TOKEN", "1:a", "TELEGRAM_CHAT_ID", "5",
			"TELEGRAM_API_URL", "http://127.0.0.1:8081/", "TELEGRAM_WEBHOOK_URL", "http://127.0.0.1:5000"}, func(c *Config) bool {
			return c.Telegram.APIURL == "http://127.0.0.1:8081"
		}},
		{"Telegram's own pace", []string{"TELEGRAM_BOT_TOKEN", "1:a", "TELEGRAM_CHAT_ID", "5"}, func(c *Config) bool { return c.Telegram.Rate == nil }},
		{"a pace for Telegram", []string{"RATE_LIMIT_TELEGRAM", "100/1s"}, func(c *Config) bool { return c.Telegram.Rate.String() == "100/1s" }},
		{"no pace for Telegram", []string{"RATE_LIMIT_TELEGRAM", "off"}, func(c *Config) bool { return c.Telegram.Rate.Off() }},
		{"cloudinary url", []string{"CLOUDINARY_URL", "cloudinary://key:se%2Fcret@shop"}, func(c *Config) bool {
			return c.Cloudinary.CloudName != "" && c.Cloudinary.CloudName == "shop" && c.Cloudinary.APIKey == "key" && c.Cloudinary.APISecret == "se/cret"
		}},
		{"cloudinary in parts", []string{"CLOUDINARY_CLOUD_NAME", "shop", "CLOUDINARY_API_KEY", "1", "CLOUDINARY_API_SECRET", "s"}, func(c *Config) bool { return c.Cloudinary.CloudName != "" }},
		{"origins", []string{"CORS_ORIGINS", "https://Shop.example/, http://localhost:3000,https://shop.example:443"}, func(c *Config) bool {
			return reflect.DeepEqual(c.CORSOrigins, []string{"https://shop.example", "http://localhost:3000"})
		}},
		{"railway's edge", []string{"RAILWAY_ENVIRONMENT_NAME", "production"}, func(c *Config) bool {
			return len(c.TrustedProxies) == 1 && c.TrustedProxies[0].Contains(netip.MustParseAddr("100.64.0.3"))
		}},
		{"railway's edge documents X-Real-IP", []string{"RAILWAY_ENVIRONMENT_NAME", "production"}, func(c *Config) bool { return c.AddressHeader == "X-Real-IP" }},
		{"railway's edge, named", []string{"RAILWAY_ENVIRONMENT_NAME", "production", "TRUSTED_PROXIES", "100.64.0.0/10,173.245.48.0/20"}, func(c *Config) bool {
			return c.AddressHeader == "X-Real-IP"
		}},
		{"another header on railway", []string{"RAILWAY_ENVIRONMENT_NAME", "production", "CLIENT_ADDRESS_HEADER", "CF-Connecting-IP"}, func(c *Config) bool {
			return c.AddressHeader == "Cf-Connecting-Ip" && len(c.TrustedProxies) == 1
		}},
		{"a proxy of one's own on railway", []string{"RAILWAY_ENVIRONMENT_NAME", "production", "TRUSTED_PROXIES", "fd12::/16"}, func(c *Config) bool {
			return c.AddressHeader == "X-Forwarded-For"
		}},
		{"a header's name", []string{"CLIENT_ADDRESS_HEADER", "x-real-ip", "TRUSTED_PROXIES", "::1"}, func(c *Config) bool {
			return c.AddressHeader == "X-Real-Ip" && len(c.Warnings) == 0
		}},
		{"a header that no proxy writes", []string{"CLIENT_ADDRESS_HEADER", "X-Real-IP"}, func(c *Config) bool {
			return len(c.Warnings) == 1 && strings.Contains(c.Warnings[0], "TRUSTED_PROXIES")
		}},
		{"IPv4-mapped proxies", []string{"TRUSTED_PROXIES", "::ffff:10.0.0.0/104,::ffff:127.0.0.1"}, func(c *Config) bool {
			return reflect.DeepEqual(c.TrustedProxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")})
		}},
		{"another proxy on railway", []string{"RAILWAY_ENVIRONMENT_NAME", "production", "TRUSTED_PROXIES", "::1"}, func(c *Config) bool {
			return len(c.TrustedProxies) == 1 && c.TrustedProxies[0].Addr() == netip.IPv6Loopback()
		}},
		{"proxies", []string{"TRUSTED_PROXIES", "10.1.2.3/8, 127.0.0.1,::1"}, func(c *Config) bool {
			return reflect.DeepEqual(c.TrustedProxies, []netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")})
		}},
		{"brand", []string{"BRAND_NAME", "Çiçekçi", "BRAND_COLOR", "#0B6B61", "BRAND_LOGO", "brand/logo.svg", "AGENT_AVATAR", "https://cdn.example/a.png?x=1"}, func(c *Config) bool {
			return c.Brand == Brand{Name: "Çiçekçi", Color: "#0b6b61", Logo: "brand/logo.svg", Avatar: "https://cdn.example/a.png?x=1"}
		}},
		{"opening hours", []string{"OPENING_HOURS", "Europe/Istanbul Mon-Fri 09:00-18:00"}, func(c *Config) bool {
			open, _ := c.OpeningHours.Open(time.Date(2026, 1, 5, 7, 0, 0, 0, time.UTC))
			return open
		}},
		{"a mailbox for push services", []string{"PUSH_CONTACT", "mailto:ops@shop.example"}, func(c *Config) bool { return c.PushContact == "mailto:ops@shop.example" }},
		{"identities", []string{"IDENTITY_SECRET", key32}, func(c *Config) bool { return c.IdentitySecret == key32 }},
		{"websockets alone", []string{"SOCKET_TRANSPORTS", " WebSocket "}, func(c *Config) bool { return c.Websocket && !c.Polling }},
		{"limit off", []string{"RATE_LIMIT_LOGIN", "OFF"}, func(c *Config) bool { return c.LoginLimit.Off() && c.LoginLimit.String() == "off" }},
		{"limit", []string{"RATE_LIMIT_API", "5/1h"}, func(c *Config) bool { return c.APILimit.String() == "5/1h" }},
		{"log", []string{"LOG_LEVEL", "Debug", "LOG_FORMAT", "JSON"}, func(c *Config) bool { return c.LogLevel == slog.LevelDebug && c.LogFormat == "json" }},
		{"room for uploads", []string{"UPLOAD_DISK_LIMIT", "20gb"}, func(c *Config) bool { return c.UploadDisk == 20<<30 }},
		{"room that visitors leave", []string{"MIN_FREE_DISK", "2GB"}, func(c *Config) bool { return c.MinFree == 2<<30 }},
		{"no room left by visitors", []string{"MIN_FREE_DISK", "off"}, func(c *Config) bool { return c.MinFree == 0 }},
		{"room for uploads by default", nil, func(c *Config) bool { return c.UploadDisk == 1<<30 }},
		{"internationalised origins", []string{"CORS_ORIGINS", "https://Çiçekçi.example, https://xn--iekisi-qxab.example:443,http://bücher.example:8080/"}, func(c *Config) bool {
			return reflect.DeepEqual(c.CORSOrigins, []string{"https://xn--ieki-zoabc.example", "https://xn--iekisi-qxab.example", "http://xn--bcher-kva.example:8080"})
		}},
		{"an internationalised host of a picture", []string{"BRAND_LOGO", "https://bücher.example/logo.png?x=1"}, func(c *Config) bool {
			return c.Brand.Logo == "https://xn--bcher-kva.example/logo.png?x=1"
		}},
		{"a provider", []string{"OIDC_ISSUER", "https://login.example/realms/shop/", "OIDC_CLIENT_ID", "chat", "PUBLIC_URL", "http://chat.example"}, func(c *Config) bool {
			return c.OIDC == OIDC{Issuer: "https://login.example/realms/shop/", ClientID: "chat"}
		}},
		{"a public address", []string{"PUBLIC_URL", "https://Chat.Example:443/", "TRUSTED_PROXIES", "127.0.0.1"}, func(c *Config) bool {
			return c.PublicURL == "https://chat.example" && c.BasePath() == "" && len(c.Warnings) == 0
		}},
		{"a public address with a path", []string{"PUBLIC_URL", "http://bücher.example:8080/shop/chat-1/"}, func(c *Config) bool {
			return c.PublicURL == "http://xn--bcher-kva.example:8080/shop/chat-1" && c.BasePath() == "/shop/chat-1"
		}},
		{"a public https address without a proxy", []string{"PUBLIC_URL", "https://chat.example"}, func(c *Config) bool {
			return len(c.Warnings) == 1 && strings.Contains(c.Warnings[0], "TRUSTED_PROXIES")
		}},
		{"topics with assignees", []string{"TELEGRAM_TOPIC_ASSIGNEE", "true", "TELEGRAM_UNLINKED", "refuse"}, func(c *Config) bool { return c.Telegram.TopicAssignees && c.Telegram.RefuseUnlinked }},
		{"audit log", []string{"AUDIT_RETENTION", "30d"}, func(c *Config) bool { return c.AuditRetention == 30*24*time.Hour }},
		{"redis", []string{"REDIS_URL", "rediss://:p@cache:6380/1"}, func(c *Config) bool { return c.RedisURL == "rediss://:p@cache:6380/1" }},
		{"locale", []string{"DEFAULT_LOCALE", "en"}, func(c *Config) bool { return c.Locale == "en" }},
		{"argon2id", []string{"ADMIN_PASSWORD", "$argon2id$v=19$m=65536,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG"}, func(c *Config) bool { return len(c.Warnings) == 0 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c := load(t, tc.env...); !tc.check(c) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestWrongValues(t *testing.T) {
	for _, tc := range []struct {
		env  []string
		want []string // text that each line must contain
	}{
		{[]string{"PORT", "70000"}, []string{`PORT holds "70000": want a whole number from 0 to 65535`}},
		{[]string{"PORT", "http"}, []string{"PORT"}},
		{[]string{"HOST", "http://x"}, []string{"HOST"}},
		{[]string{"HOST", "localhost:5000"}, []string{"HOST"}},
		{[]string{"SECRET_KEY", "hunter2"}, []string{`SECRET_KEY holds "****" (7 characters): each key needs at least 32`}},
		{[]string{"SECRET_KEY", key32 + ",hunter2"}, []string{"SECRET_KEY"}},
		{[]string{"DATABASE_URL", "postgres://u:p@db/x"}, []string{"SECRET_KEY holds nothing: with PostgreSQL it is required"}},
		{[]string{"DATABASE_URL", "mysql://u:hunter2@db/x"}, []string{`DATABASE_URL holds "mysql://****": want postgres://`}},
		{[]string{"DATABASE_URL", "postgres://"}, []string{"DATABASE_URL"}},
		{[]string{"DATABASE_URL", "sqlite://"}, []string{"DATABASE_URL"}},
		{[]string{"ADMIN_PASSWORD", "$argon2id$hunter2"}, []string{"ADMIN_PASSWORD"}},
		{[]string{"ADMIN_USERNAME", strings.Repeat("a", 51)}, []string{"ADMIN_USERNAME"}},
		{[]string{"CACHE_TTL", "3"}, []string{"CACHE_TTL"}},
		{[]string{"CACHE_TTL", "0s"}, []string{"CACHE_TTL"}},
		{[]string{"AGENT_IDLE", "15"}, []string{"AGENT_IDLE"}},
		{[]string{"AGENT_IDLE", "-1s"}, []string{"AGENT_IDLE"}},
		{[]string{"MESSAGE_RETENTION_DAYS", "-1"}, []string{"MESSAGE_RETENTION_DAYS"}},
		{[]string{"UPLOAD_DISK_LIMIT", "lots"}, []string{`UPLOAD_DISK_LIMIT holds "lots": want a size`}},
		{[]string{"UPLOAD_DISK_LIMIT", "off"}, []string{"UPLOAD_DISK_LIMIT"}},
		{[]string{"MIN_FREE_DISK", "5%"}, []string{`MIN_FREE_DISK holds "5%": want a size from 1MB to 1024TB, such as 1GB, or off`}},
		{[]string{"UPLOAD_DISK_LIMIT", "1MB"}, []string{"UPLOAD_DISK_LIMIT"}},
		{[]string{"UPLOAD_DISK_LIMIT", "99999999999999TB"}, []string{"UPLOAD_DISK_LIMIT"}},
		{[]string{"TELEGRAM_BOT_TOKEN", "1:hunter2 x", "TELEGRAM_CHAT_ID", "7"}, []string{"TELEGRAM_BOT_TOKEN"}},
		{[]string{"TELEGRAM_BOT_TOKEN", "1:hunter2"}, []string{"TELEGRAM_CHAT_ID holds nothing"}},
		{[]string{"TELEGRAM_CHAT_ID", "7"}, []string{"TELEGRAM_BOT_TOKEN holds nothing"}},
		{[]string{"TELEGRAM_CHAT_ID", "@me"}, []string{"TELEGRAM_CHAT_ID"}},
		{[]string{"TELEGRAM_WEBHOOK_URL", "https://x"}, []string{"TELEGRAM_BOT_TOKEN holds nothing"}},
		{[]string{"TELEGRAM_BOT_TOKEN", "1:a", "TELEGRAM_CHAT_ID", "7", "TELEGRAM_WEBHOOK_URL", "http://x"}, []string{"TELEGRAM_WEBHOOK_URL"}},
		{[]string{"TELEGRAM_API_URL", "api.telegram.org"}, []string{"TELEGRAM_API_URL"}},
		{[]string{"CLOUDINARY_API_KEY", "k"}, []string{"CLOUDINARY_CLOUD_NAME", "CLOUDINARY_API_SECRET"}},
		{[]string{"CLOUDINARY_URL", "cloudinary://key@shop"}, []string{"CLOUDINARY_URL"}},
		{[]string{"CLOUDINARY_URL", "cloudinary://key:hunter2@shop", "CLOUDINARY_CLOUD_NAME", "other"}, []string{"CLOUDINARY_CLOUD_NAME"}},
		{[]string{"CLOUDINARY_CLOUD_NAME", "a/b"}, []string{"CLOUDINARY_CLOUD_NAME"}},
		{[]string{"CLOUDINARY_UPLOAD_PREFIX", "x"}, []string{"CLOUDINARY_UPLOAD_PREFIX"}},
		{[]string{"SOCKET_TRANSPORTS", "websocket,smoke"}, []string{"SOCKET_TRANSPORTS holds"}},
		{[]string{"CORS_ORIGINS", "*"}, []string{"CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", "https://user@a.example"}, []string{"CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", "https://a.example?"}, []string{"CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", "https://a.exam\u2028ple"}, []string{"CORS_ORIGINS"}},
		{[]string{"OIDC_ISSUER", "http://login.example", "OIDC_CLIENT_ID", "chat"}, []string{"OIDC_ISSUER"}},
		{[]string{"OIDC_ISSUER", "login.example", "OIDC_CLIENT_ID", "chat"}, []string{"OIDC_ISSUER"}},
		{[]string{"OIDC_ISSUER", "https://login.example", "PUBLIC_URL", "https://chat.example"}, []string{"OIDC_CLIENT_ID"}},
		{[]string{"OIDC_CLIENT_ID", "chat"}, []string{"OIDC_ISSUER"}},
		{[]string{"OIDC_ISSUER", "https://login.example", "OIDC_CLIENT_ID", "chat"}, []string{"PUBLIC_URL"}},
		{[]string{"OIDC_CLIENT_SECRET", "a\nb"}, []string{"OIDC_CLIENT_SECRET"}},
		{[]string{"PUBLIC_URL", "chat.example"}, []string{"PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://chat.example/?a"}, []string{"PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://user@chat.example"}, []string{"PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://chat.example/../a"}, []string{"PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://chat.example//a"}, []string{"PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://chat.example/%2e"}, []string{"PUBLIC_URL"}},
		{[]string{"PUBLIC_URL", "https://chat.example/çay"}, []string{"PUBLIC_URL"}},
		{[]string{"CORS_ORIGINS", "https://a.example/path"}, []string{"CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", "https://*.example"}, []string{"CORS_ORIGINS"}},
		{[]string{"CORS_ORIGINS", "https://a.example; script-src *"}, []string{"CORS_ORIGINS"}},
		{[]string{"TRUSTED_PROXIES", "10.0.0.0/33"}, []string{"TRUSTED_PROXIES"}},
		{[]string{"CLIENT_ADDRESS_HEADER", "X-Real-IP, X-Forwarded-For"}, []string{"CLIENT_ADDRESS_HEADER"}},
		{[]string{"CLIENT_ADDRESS_HEADER", "Forwarded"}, []string{`CLIENT_ADDRESS_HEADER holds "Forwarded": want`}},
		{[]string{"RATE_LIMIT_MESSAGE", "30"}, []string{"RATE_LIMIT_MESSAGE"}},
		{[]string{"RATE_LIMIT_UPLOAD", "0/1m"}, []string{"RATE_LIMIT_UPLOAD"}},
		{[]string{"RATE_LIMIT_API", "1/1x"}, []string{"RATE_LIMIT_API"}},
		{[]string{"RATE_LIMIT_LOGIN", "1/100h"}, []string{"RATE_LIMIT_LOGIN"}},
		{[]string{"LOG_LEVEL", "loud"}, []string{"LOG_LEVEL"}},
		{[]string{"LOG_FORMAT", "xml"}, []string{"LOG_FORMAT"}},
		{[]string{"METRICS_TOKEN", "hunter2 b"}, []string{"METRICS_TOKEN"}},
		{[]string{"TELEGRAM_UNLINKED", "maybe"}, []string{`TELEGRAM_UNLINKED holds "maybe"`}},
		{[]string{"AUDIT_RETENTION", "1y"}, []string{`AUDIT_RETENTION holds "1y"`}},
		{[]string{"REDIS_URL", "http://:hunter2@cache"}, []string{`REDIS_URL holds "http://****"`}},
		{[]string{"BRAND_NAME", strings.Repeat("x", 61)}, []string{"BRAND_NAME"}},
		{[]string{"BRAND_COLOR", "red"}, []string{"BRAND_COLOR"}},
		{[]string{"BRAND_LOGO", "../secret.png"}, []string{"BRAND_LOGO"}},
		{[]string{"BRAND_LOGO", "/etc/logo.png"}, []string{"BRAND_LOGO"}},
		{[]string{"AGENT_AVATAR", "http://cdn.example/a.png"}, []string{"AGENT_AVATAR"}},
		{[]string{"AGENT_AVATAR", "https://cdn.example/a.png; script-src *"}, []string{"AGENT_AVATAR"}},
		{[]string{"OPENING_HOURS", "Mon-Fri 09:00-18:00"}, []string{"OPENING_HOURS"}},
		{[]string{"IDENTITY_SECRET", "hunter2"}, []string{"IDENTITY_SECRET"}},
		{[]string{"PUSH_CONTACT", "ops@shop.example"}, []string{"PUSH_CONTACT"}},
		{[]string{"DEFAULT_LOCALE", "de"}, []string{`DEFAULT_LOCALE holds "de": want tr or en`}},
		{[]string{"PORT", "x", "LOG_LEVEL", "y", "CACHE_TTL", "z"}, []string{"PORT", "CACHE_TTL", "LOG_LEVEL"}},
		{[]string{"LOG_LEVEL", "a\nb"}, []string{`LOG_LEVEL holds "a\nb"`}},
	} {
		_, err := Load(t.TempDir(), env(tc.env...))
		var wrong Invalid
		if !errors.As(err, &wrong) || len(wrong) != len(tc.want) {
			t.Errorf("%v: got %v, want %d lines", tc.env, err, len(tc.want))
			continue
		}
		for i, want := range tc.want {
			if !strings.HasPrefix(wrong[i], strings.Fields(want)[0]+" holds ") || !strings.Contains(wrong[i], want) {
				t.Errorf("%v: line %q, want %q", tc.env, wrong[i], want)
			}
			if strings.ContainsAny(wrong[i], "\n") || strings.Contains(wrong[i], "hunter2") {
				t.Errorf("%v: line %q breaks or leaks", tc.env, wrong[i])
			}
		}
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# comment\nPORT=7000\nHOST=127.0.0.1\nADMIN_PASSWORD='a $b # c long enough'\nRATE_LIMIT_MESAGE=1/1m\n")
	c, err := Load(dir, env("PORT", "7001", "HOST", ""))
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 7001 || c.Host != "" || c.AdminPassword != "a $b # c long enough" {
		t.Errorf("the environment should win, the file fill the rest: %d %q", c.Port, c.Host)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "did you mean RATE_LIMIT_MESSAGE?") {
		t.Errorf("warnings: %q", c.Warnings)
	}
	write("SECRET_KEY hunter2hunter2\n")
	if _, err = Load(dir, env()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a broken file should be refused without quoting it, got %v", err)
	}
}

func TestSecretKeyIsMadeOnceAndKeptPrivate(t *testing.T) {
	c := load(t, "DATA_DIR", filepath.Join(t.TempDir(), "deep", "data"))
	created, err := c.Prepare()
	if err != nil || !created || len(c.SecretKeys) != 1 || len(c.SecretKeys[0]) < minSecret {
		t.Fatalf("created %v, keys %d, err %v", created, len(c.SecretKeys), err)
	}
	first, path := c.SecretKeys[0], filepath.Join(c.DataDir, secretFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, err %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	c.SecretKeys = nil
	if created, err = c.Prepare(); err != nil || created || c.SecretKeys[0] != first {
		t.Fatalf("second start: created %v, err %v", created, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("wide rights were left: %v", info.Mode())
	}
	if made, err := makeSecret(path); made || err != nil {
		t.Errorf("a key that exists was replaced: %v, %v", made, err)
	}
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.SecretKeys = nil
	if _, err = c.Prepare(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken key file should stop the start, got %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.DataDir, ".sohbet-secret-*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestReadmeListsEverySetting(t *testing.T) {
	var want bytes.Buffer
	if err := WriteTable(&want); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(readme), "<!-- settings: written by sohbet settings --table -->\n\n")
	if got, _, ends := strings.Cut(rest, "\n<!-- end of settings -->"); !begins || !ends || got != want.String() {
		t.Errorf("README.md lists other settings than there are. Put this between its two marks:\n%s", want.String())
	}
}

func TestExampleFile(t *testing.T) {
	var want bytes.Buffer
	if err := WriteExample(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(examplePath, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("config.example.env is out of date: go test ./server/config -run TestExampleFile -update")
	}
	dir := t.TempDir()
	uncommented := strings.ReplaceAll("\n"+string(got), "\n#", "\n")
	var lines []string
	for line := range strings.SplitSeq(uncommented, "\n") {
		if name, _, ok := strings.Cut(line, "="); ok && name == strings.ToUpper(name) && !strings.ContainsAny(name, " :/") {
			lines = append(lines, line)
		}
	}
	if len(lines) != len(settings) {
		t.Fatalf("%d settings in the example, %d in the table", len(lines), len(settings))
	}
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir, env())
	if err != nil {
		t.Fatal(err)
	}
	c.Warnings, c.given = nil, nil
	if !reflect.DeepEqual(c, load(t)) {
		t.Error("the example with every line uncommented differs from the defaults")
	}
}
