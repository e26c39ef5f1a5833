package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/net/idna"

	"sohbet/server/hours"
)

// The errors below complete the line "NAME holds VALUE: …" and describe what is expected. They must not quote the value.

func integer(low, high int, field func(*Config) *int) func(*Config, string) error {
	return func(c *Config, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number from %d to %d", low, high)
		}
		*field(c) = n
		return nil
	}
}

func oneOf(field func(*Config) *string, allowed ...string) func(*Config, string) error {
	return func(c *Config, value string) error {
		value = strings.ToLower(value)
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("want %s", strings.Join(allowed, " or "))
		}
		*field(c) = value
		return nil
	}
}

// word parses a value without spaces or control characters.
func word(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return errors.New("want one word without spaces")
		}
		*field(c) = value
		return nil
	}
}

// address parses an absolute URL with one of the schemes; a trailing slash is removed.
func address(field func(*Config) *string, schemes ...string) func(*Config, string) error {
	return func(c *Config, value string) error {
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
			return fmt.Errorf("want an address that begins with %s:// and names a host", strings.Join(schemes, ":// or "))
		}
		*field(c) = strings.TrimRight(value, "/")
		return nil
	}
}

func limit(field func(*Config) *Rate) func(*Config, string) error {
	return func(c *Config, value string) error {
		r, err := ParseRate(value)
		if err != nil {
			return err
		}
		*field(c) = r
		return nil
	}
}

func setTelegramRate(c *Config, value string) error {
	r, err := ParseRate(value)
	if err == nil {
		c.Telegram.Rate = &r
	}
	return err
}

// ParseRate parses "count/duration" ("30/1m") or "off".
func ParseRate(value string) (Rate, error) {
	wrong := errors.New("want count/duration such as 30/1m (count from 1 to 1000000, duration from 1s to 24h), or off")
	if strings.EqualFold(value, "off") {
		return Rate{}, nil
	}
	count, per, ok := strings.Cut(value, "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if !ok || err != nil || n < 1 || n > 1_000_000 {
		return Rate{}, wrong
	}
	d, err := time.ParseDuration(strings.TrimSpace(per))
	if err != nil || d < time.Second || d > 24*time.Hour {
		return Rate{}, wrong
	}
	return Rate{Count: n, Per: d}, nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

func setHost(c *Config, value string) error {
	bare := strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
	if net.ParseIP(bare) == nil && !hostName.MatchString(value) {
		return errors.New("want an IP address or host name without scheme and port, such as 127.0.0.1; empty means all addresses")
	}
	c.Host = bare
	return nil
}

func setSecretKey(c *Config, value string) (err error) {
	c.SecretKeys, err = parseSecrets(value)
	return err
}

func setAdminUsername(c *Config, value string) error {
	if len([]rune(value)) > 50 || strings.ContainsFunc(value, unicode.IsControl) {
		return errors.New("want at most 50 characters")
	}
	c.AdminUsername = value
	return nil
}

func setAdminPassword(c *Config, value string) error {
	if strings.HasPrefix(value, argonPrefix) {
		p, _, _, err := argon2id.DecodeHash(value)
		if err != nil {
			return errors.New("it begins like an argon2id hash but is not one: want $argon2id$v=19$m=…,t=…,p=…$salt$hash")
		}
		if p.Memory > 256*1024 || p.Iterations > 16 { // limits the cost of each password check
			return errors.New("want an argon2id hash with m ≤ 262144 and t ≤ 16")
		}
	}
	c.AdminPassword = value
	return nil
}

func setDataDir(c *Config, value string) error {
	if strings.ContainsRune(value, 0) {
		return errors.New("want the path of a folder")
	}
	c.DataDir = filepath.Clean(value)
	return nil
}

func setDatabaseURL(c *Config, value string) error {
	wrong := errors.New("want postgres://user:password@host:5432/name or sqlite://PATH, or nothing for SQLite in DATA_DIR")
	if path, ok := strings.CutPrefix(value, "sqlite://"); ok {
		if path == "" || path == "/" {
			return wrong
		}
		if _, query, asks := strings.Cut(path, "?"); asks {
			name, _, _ := strings.Cut(query, "=")
			return fmt.Errorf("sqlite:// takes the path of a file without parameters; remove %q", "?"+name)
		}
		c.DatabaseURL = value
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return wrong
	}
	if u.Host == "" && u.Query().Get("host") == "" { // Unix sockets are given as ?host=/run/postgresql
		return wrong
	}
	c.DatabaseURL = value
	return nil
}

func setCacheTTL(c *Config, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Second || d > 24*time.Hour {
		return errors.New("want a duration from 1s to 24h, such as 3m")
	}
	c.CacheTTL = d
	return nil
}

func setAgentIdle(c *Config, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d != 0 && d < time.Second || d > 24*time.Hour {
		return errors.New("want a duration from 1s to 24h, such as 15m, or 0")
	}
	c.AgentIdle = d
	return nil
}

// choice parses a word for false or one for true.
func choice(no, yes string, field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, value string) error {
		var word string
		err := oneOf(func(*Config) *string { return &word }, no, yes)(c, value)
		*field(c) = word == yes
		return err
	}
}

func setAuditRetention(c *Config, value string) error {
	number, ok := strings.CutSuffix(value, "d")
	days, err := strconv.Atoi(number)
	if err != nil || !ok || days < 0 || days > 36500 {
		return errors.New("want a number of days up to 36500d, such as 365d")
	}
	c.AuditRetention = time.Duration(days) * 24 * time.Hour
	return nil
}

var sizeUnits = map[string]int64{"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

// size parses a number of bytes of at least low or, if allowed, "off" for 0.
func size(low int64, off bool, field func(*Config) *int64) func(*Config, string) error {
	return func(c *Config, value string) error {
		if off && strings.EqualFold(value, "off") {
			*field(c) = 0
			return nil
		}
		digits := strings.TrimRight(value, "bBkKmMgGtT ")
		unit, known := sizeUnits[strings.ToUpper(strings.TrimSpace(value[len(digits):]))]
		n, err := strconv.ParseInt(digits, 10, 64)
		if !known || err != nil || n < 1 || n > 1<<50/unit || n*unit < low {
			want := fmt.Sprintf("want a size from %dMB to 1024TB, such as 1GB", low>>20)
			if off {
				want += ", or off"
			}
			return errors.New(want)
		}
		*field(c) = n * unit
		return nil
	}
}

var botToken = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)

func setBotToken(c *Config, value string) error {
	if !botToken.MatchString(value) {
		return errors.New("want the token as @BotFather gave it: digits, a colon, letters and digits")
	}
	c.Telegram.BotToken = value
	return nil
}

func setChatID(c *Config, value string) error {
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil || id == 0 {
		return errors.New("want the chat's number, such as 123456789, or -1001234567890 for a group")
	}
	c.Telegram.ChatID = id
	return nil
}

var cloudName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

func setCloudName(c *Config, value string) error {
	if !cloudName.MatchString(value) {
		return errors.New("want the cloud name from Cloudinary's dashboard: letters, digits, - and _")
	}
	c.Cloudinary.CloudName = value
	return nil
}

func setCloudKey(c *Config, value string) error {
	return word(func(c *Config) *string { return &c.Cloudinary.APIKey })(c, value)
}

func setCloudinaryURL(c *Config, value string) error {
	u, err := url.Parse(value)
	wrong := errors.New("want cloudinary://key:secret@cloud-name")
	if err != nil || u.Scheme != "cloudinary" || !cloudName.MatchString(u.Host) || u.User == nil || u.User.Username() == "" {
		return wrong
	}
	if secret, _ := u.User.Password(); secret == "" {
		return wrong
	}
	c.Cloudinary.url = value
	return nil
}

func setOrigins(c *Config, value string) error {
	c.CORSOrigins = nil
	for text := range strings.SplitSeq(value, ",") {
		text = strings.TrimRight(strings.TrimSpace(text), "/")
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		origin, ok := "", false
		if err == nil {
			origin, ok = originOf(u)
		}
		if !ok || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#") {
			return errors.New("want origins with commas between them, each http(s)://host or http(s)://host:port without path or *")
		}
		if !slices.Contains(c.CORSOrigins, origin) {
			c.CORSOrigins = append(c.CORSOrigins, origin)
		}
	}
	return nil
}

// originOf returns the origin of an http(s) URL as browsers write it: in lower case, the host name in DNS form (RFC 5891), and without
// the scheme's default port.
func originOf(u *url.URL) (string, bool) {
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return "", false
	}
	host, ok := asciiHost(u.Host)
	if !ok || strings.ContainsAny(host, "*;'\" ") {
		return "", false
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme]), true
}

// asciiHost converts a host with or without port to the form used in DNS and Origin headers.
func asciiHost(host string) (string, bool) {
	if !strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		return strings.ToLower(host), true
	}
	name, port, found := strings.Cut(host, ":")
	name, err := idna.Lookup.ToASCII(name)
	if found {
		name += ":" + port
	}
	return name, err == nil
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

func setPublicURL(c *Config, value string) error {
	u, err := url.Parse(value)
	if err == nil {
		path := strings.TrimRight(u.EscapedPath(), "/")
		if origin, ok := originOf(u); ok && plainPath.MatchString(path) && u.RawQuery == "" && u.Fragment == "" {
			c.PublicURL = origin + path
			return nil
		}
	}
	return errors.New("want the address of the chat page, such as https://chat.example, or https://shop.example/chat/ with a path of letters, digits, dots, - and _")
}

func setOIDCIssuer(c *Config, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return errors.New("want the https:// address of the provider, as its documentation calls its issuer")
	}
	c.OIDC.Issuer = value
	return nil
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func setTransports(c *Config, value string) error {
	c.Polling, c.Websocket = false, false
	for name := range strings.SplitSeq(value, ",") {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "polling":
			c.Polling = true
		case "websocket":
			c.Websocket = true
		default:
			return errors.New("want polling,websocket, or one of the two")
		}
	}
	return nil
}

func setProxies(c *Config, value string) error {
	c.TrustedProxies = nil
	for item := range strings.SplitSeq(value, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			addr, err := netip.ParseAddr(item)
			if err != nil || addr.Zone() != "" {
				return errors.New("want IP addresses or networks with commas between them, such as 10.0.0.0/8,127.0.0.1")
			}
			addr = addr.Unmap()
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix.Masked())
	}
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func setAddressHeader(c *Config, value string) error {
	if !headerName.MatchString(value) || strings.EqualFold(value, "Forwarded") {
		return errors.New("want the name of one header that holds addresses, such as X-Forwarded-For, X-Real-IP or CF-Connecting-IP")
	}
	c.AddressHeader = http.CanonicalHeaderKey(value)
	return nil
}

func setLogLevel(c *Config, value string) error {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "warning": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[strings.ToLower(value)]
	if !ok {
		return errors.New("want debug, info, warn or error")
	}
	c.LogLevel = level
	return nil
}

// line parses one line of text of at most so many characters.
func line(most int, field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		if utf8.RuneCountInString(value) > most || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return fmt.Errorf("want one line of at most %d characters", most)
		}
		*field(c) = value
		return nil
	}
}

var color = regexp.MustCompile(`^#[0-9a-f]{6}$`)

func setBrandColor(c *Config, value string) error {
	value = strings.ToLower(value)
	if !color.MatchString(value) {
		return errors.New("want a colour such as #0b6b61")
	}
	c.Brand.Color = value
	return nil
}

// picture parses an https URL, or a path inside DATA_DIR.
func picture(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		u, err := url.Parse(value)
		remote := err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(value, " ;,'\"")
		if !remote && (strings.Contains(value, "://") || !filepath.IsLocal(filepath.FromSlash(value))) {
			return errors.New("want an https:// address, or the path of a picture inside DATA_DIR such as logo.png")
		}
		if host, ok := "", false; remote {
			if host, ok = asciiHost(u.Host); !ok {
				return errors.New("its host name is invalid")
			}
			u.Host = host // it is used in a header
			value = u.String()
		}
		*field(c) = value
		return nil
	}
}

func setOpeningHours(c *Config, value string) (err error) {
	c.OpeningHours, err = hours.Parse(value)
	return err
}

func setIdentitySecret(c *Config, value string) error {
	if utf8.RuneCountInString(value) < minSecret {
		return fmt.Errorf("want at least %d characters; make one with: openssl rand -hex 32", minSecret)
	}
	c.IdentitySecret = value
	return nil
}

func setPushContact(c *Config, value string) error {
	u, err := url.Parse(value)
	if err == nil && (u.Scheme == "https" && u.Hostname() != "" || u.Scheme == "mailto" && strings.Contains(u.Opaque, "@")) {
		c.PushContact = value
		return nil
	}
	return errors.New("want mailto:you@shop.example or an https:// address")
}
