// Package config declares every setting of Sohbet once: its name, type, default, check and whether it is secret. Values come from the
// environment, or from the file config.env in the working directory; the environment takes precedence.
package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"sohbet/server/hours"
)

// FileName is the name of the settings file in the working directory.
const FileName = "config.env"

// Config contains the validated settings. It includes secrets: never log or marshal it as a whole.
type Config struct {
	Host      string // "" = all interfaces
	Port      int    // 0 = any free port
	PublicURL string // this server's URL for browsers: scheme://host[:port][/path], no trailing slash; "" = the Host of each request

	SecretKeys    []string // the first encrypts and signs, all of them decrypt and verify; set by Prepare if SECRET_KEY is unset
	AdminUsername string
	AdminPassword string // plain text or an argon2id hash in PHC format; "" = sign in with one-time codes only

	OIDC OIDC

	DataDir     string
	DatabaseURL string // postgres://… or sqlite://PATH, never empty after Load

	UploadDisk int64 // maximum total bytes of uploaded files in DataDir
	MinFree    int64 // bytes to leave free on DataDir's disk; 0 = none

	Telegram   Telegram
	Cloudinary Cloudinary

	Brand          Brand
	OpeningHours   *hours.Week // nil = always open
	IdentitySecret string      // "" = signed identities are refused
	PushContact    string      // mailto: or https: address for push services; "" = this server's address

	CORSOrigins    []string // scheme://host[:port], lower case, no trailing slash
	TrustedProxies []netip.Prefix
	AddressHeader  string // the header in which trusted proxies send the client's address

	MessageLimit, UploadLimit, APILimit, LoginLimit Rate

	CacheTTL      time.Duration
	AgentIdle     time.Duration // 0 = never
	RetentionDays int           // 0 = unlimited
	// AuditRetention is how long entries of the audit log are kept; 0 = unlimited.
	AuditRetention time.Duration
	RedisURL       string
	Polling        bool // SOCKET_TRANSPORTS: whether clients may use polling
	Websocket      bool // SOCKET_TRANSPORTS: whether clients may use websockets

	LogLevel     slog.Level
	SentryDSN    string // "" = off
	ReleaseURL   string // describes the latest release, for `sohbet version --check`; "" = unknown
	LogFormat    string // "text", "json", or "" = text on a terminal, otherwise json
	MetricsToken string
	Locale       string // "tr" or "en"

	// Warnings are about values that are valid but probably wrong, one line each, without secrets.
	Warnings []string

	given   map[string]string // the values of the environment and the file that are not empty
	railway bool
}

// Telegram configures the bridge to the operators' chat; off if BotToken is empty.
type Telegram struct {
	BotToken   string
	ChatID     int64
	APIURL     string // without trailing slash
	WebhookURL string // "" = long polling
	// TopicAssignees makes topics show who answers; RefuseUnlinked lets only agents with a linked account answer.
	TopicAssignees, RefuseUnlinked bool

	Rate *Rate // limit for messages into the chat; nil = the limit documented by Telegram for the kind of chat
}

// On reports whether a bot is configured.
func (t Telegram) On() bool { return t.BotToken != "" }

// Brand is the branding of visitors' pages. Empty fields use the pages' defaults.
type Brand struct {
	Name, Greeting, Agent string
	Color                 string // #rrggbb, lower case
	Logo, Avatar          string // an https address, or a path within DATA_DIR
}

// Cloudinary configures the remote file store; off if CloudName is empty, and files are stored in DataDir.
type Cloudinary struct {
	CloudName, APIKey, APISecret string
	UploadPrefix                 string // base URL of the upload API, without trailing slash

	url string // CLOUDINARY_URL as given, parsed once all values are known
}

// BasePath returns the path of PublicURL, such as "/chat"; "" for the root.
func (c *Config) BasePath() string {
	_, rest, _ := strings.Cut(c.PublicURL, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return ""
}

// UploadsDir returns the folder for uploaded files.
func (c *Config) UploadsDir() string { return filepath.Join(c.DataDir, "uploads") }

// LockFiles returns the files to lock so that no second process uses the same data: one for the SQLite database, and one for the
// uploads folder, in which files unknown to this database are deleted. None for PostgreSQL, which several processes may share.
func (c *Config) LockFiles() []string {
	path, ok := strings.CutPrefix(c.DatabaseURL, "sqlite://")
	if !ok {
		return nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil { // the same lock whichever path is used
		path = real
	}
	return []string{path + ".lock", filepath.Join(c.DataDir, "sohbet.lock")}
}

// Postgres reports whether the database is PostgreSQL; otherwise it is SQLite.
func (c *Config) Postgres() bool {
	return strings.HasPrefix(c.DatabaseURL, "postgres://") || strings.HasPrefix(c.DatabaseURL, "postgresql://")
}

// Rate allows Count events in each Per. The zero value is "off": no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Off reports whether the limit is disabled.
func (r Rate) Off() bool { return r.Count == 0 }

// String returns the rate in the form of the setting.
func (r Rate) String() string {
	if r.Off() {
		return "off"
	}
	per := r.Per.String()
	if strings.HasSuffix(per, "m0s") {
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return strconv.Itoa(r.Count) + "/" + per
}

// railwayProxies is the network from which Railway's edge proxy connects: the shared address space of RFC 6598, which only the platform
// uses. If it were not trusted, all visitors would share the edge's address and its limits.
var railwayProxies = netip.MustParsePrefix("100.64.0.0/10")

// Invalid lists everything that is wrong with the settings, one line per variable.
type Invalid []string

// Error joins the lines with newlines.
func (e Invalid) Error() string { return strings.Join(e, "\n") }

// Load reads the settings from dir/config.env, if it exists, and from lookup (os.LookupEnv), which takes precedence; an empty variable
// means its default. It returns an Invalid with a line for every wrong value.
func Load(dir string, lookup func(string) (string, bool)) (*Config, error) {
	path := filepath.Join(dir, FileName)
	file, err := readFile(path)
	if err != nil {
		return nil, err
	}
	platform, _ := lookup("RAILWAY_ENVIRONMENT_NAME")
	given, before := map[string]string{}, &Config{}
	for i := range settings {
		s := &settings[i]
		value, ok := lookup(s.name)
		if !ok {
			value = file[s.name]
		}
		value = strings.TrimSpace(value)
		if ok {
			value = strings.TrimSpace(before.envQuotes(s, value))
		}
		if value != "" {
			given[s.name] = value
		}
		delete(file, s.name)
	}
	c, wrong := parse(given, platform != "", before.Warnings)
	if len(wrong) > 0 {
		return nil, wrong
	}
	if len(given) > 0 {
		c.given = given
	}
	unknown := make([]string, 0, len(file))
	for name := range file {
		unknown = append(unknown, name)
	}
	sort.Strings(unknown)
	for _, name := range unknown {
		c.warn("%s in %s is not a setting of Sohbet%s", strconv.Quote(name), FileName, suggestion(name))
	}
	return c, nil
}

// parse returns the settings for the values that are not empty, by name.
func parse(values map[string]string, railway bool, warnings []string) (*Config, Invalid) {
	c := &Config{Warnings: warnings, railway: railway}
	var wrong Invalid
	given := map[string]bool{}
	for i := range settings {
		s := &settings[i]
		value := cmp.Or(values[s.name], s.def)
		if value == "" {
			continue
		}
		if err := s.set(c, value); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s holds %s: %s", s.name, s.show(value), err))
			continue
		}
		given[s.name] = values[s.name] != ""
	}
	if railway {
		if !given["TRUSTED_PROXIES"] {
			c.TrustedProxies = []netip.Prefix{railwayProxies}
		}
		// Railway's edge documents only X-Real-IP (https://docs.railway.com/networking/public-networking/specs-and-limits).
		if !given["CLIENT_ADDRESS_HEADER"] && slices.ContainsFunc(c.TrustedProxies, railwayProxies.Overlaps) {
			c.AddressHeader = "X-Real-IP"
		}
	}
	if len(wrong) == 0 {
		wrong = c.combine(given)
	}
	return c, wrong
}

func (c *Config) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// combine checks dependencies between values, and sets values that depend on several.
func (c *Config) combine(given map[string]bool) Invalid {
	var wrong Invalid
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

	if c.DatabaseURL == "" {
		c.DatabaseURL = "sqlite://" + filepath.ToSlash(filepath.Join(c.DataDir, "chat.db"))
	}
	if c.Postgres() && len(c.SecretKeys) == 0 {
		add("SECRET_KEY holds nothing: with PostgreSQL it is required, at least %d characters; make one with: openssl rand -hex 32", minSecret)
	}

	switch t := &c.Telegram; {
	case t.BotToken != "" && t.ChatID == 0:
		add("TELEGRAM_CHAT_ID holds nothing: TELEGRAM_BOT_TOKEN is set, so give the number of the operator's chat too")
	case t.BotToken == "" && t.ChatID != 0:
		add("TELEGRAM_BOT_TOKEN holds nothing: TELEGRAM_CHAT_ID is set, so give the token from @BotFather too")
	case t.BotToken == "" && t.WebhookURL != "":
		add("TELEGRAM_BOT_TOKEN holds nothing: TELEGRAM_WEBHOOK_URL is set, so give the token and TELEGRAM_CHAT_ID too")
	case strings.HasPrefix(t.WebhookURL, "http://") && !given["TELEGRAM_API_URL"]:
		add("TELEGRAM_WEBHOOK_URL holds %q: Telegram calls https:// addresses only", t.WebhookURL)
	}

	for _, line := range c.Cloudinary.combine() {
		add("%s", line)
	}

	switch o := &c.OIDC; {
	case o.Issuer == "" && o.ClientID != "":
		add("OIDC_ISSUER holds nothing: OIDC_CLIENT_ID is set, so give the provider's address too")
	case o.Issuer != "" && o.ClientID == "":
		add("OIDC_CLIENT_ID holds nothing: OIDC_ISSUER is set, so give the id under which the provider knows this server too")
	case o.Issuer != "" && c.PublicURL == "":
		add("PUBLIC_URL holds nothing: OIDC_ISSUER is set, and the provider sends agents back to PUBLIC_URL/login/oidc/callback")
	}

	if p := c.AdminPassword; p != "" && !strings.HasPrefix(p, argonPrefix) && len([]rune(p)) < 12 {
		c.warn("ADMIN_PASSWORD is shorter than 12 characters; a longer one is safer")
	}
	if strings.HasPrefix(c.PublicURL, "https://") && len(c.TrustedProxies) == 0 {
		c.warn("PUBLIC_URL is an https:// address, and TRUSTED_PROXIES names no proxy that ends HTTPS: cookies are not kept to HTTPS, and all visitors count as one address")
	}
	if given["CLIENT_ADDRESS_HEADER"] && len(c.TrustedProxies) == 0 {
		c.warn("CLIENT_ADDRESS_HEADER has no effect without TRUSTED_PROXIES")
	}
	switch {
	case c.RedisURL == "":
	case !c.Postgres():
		c.warn("REDIS_URL has no effect with SQLite, which has one process; several need PostgreSQL (DATABASE_URL)")
	case c.Cloudinary.CloudName == "":
		c.warn("REDIS_URL is set, but not Cloudinary: DATA_DIR has to be one folder that all processes share, or each process finds only the files that it received itself")
	}
	return wrong
}

// OIDC is the OpenID Connect provider at which agents can sign in; Issuer "" = none.
type OIDC struct{ Issuer, ClientID, ClientSecret, Name string }

// combine merges CLOUDINARY_URL with the three single values; if both are given they must agree.
func (c *Cloudinary) combine() []string {
	if c.url != "" {
		u, err := url.Parse(c.url)
		if err != nil { // cannot happen: the setting's own check has parsed it
			return []string{"CLOUDINARY_URL holds an invalid address"}
		}
		secret, _ := u.User.Password()
		for _, v := range []struct{ name, single, whole string }{
			{"CLOUDINARY_CLOUD_NAME", c.CloudName, u.Host},
			{"CLOUDINARY_API_KEY", c.APIKey, u.User.Username()},
			{"CLOUDINARY_API_SECRET", c.APISecret, secret},
		} {
			if v.single != "" && v.single != v.whole {
				return []string{v.name + " holds something else than CLOUDINARY_URL says: give the one or the other"}
			}
		}
		c.CloudName, c.APIKey, c.APISecret = u.Host, u.User.Username(), secret
		return nil
	}
	if c.CloudName == "" && c.APIKey == "" && c.APISecret == "" {
		return nil
	}
	var lines []string
	for _, v := range []struct{ name, value string }{
		{"CLOUDINARY_CLOUD_NAME", c.CloudName}, {"CLOUDINARY_API_KEY", c.APIKey}, {"CLOUDINARY_API_SECRET", c.APISecret},
	} {
		if v.value == "" {
			lines = append(lines, v.name+" holds nothing: cloud name, API key and API secret are needed together (or CLOUDINARY_URL alone)")
		}
	}
	return lines
}

// suggestion returns the setting that an unknown name was probably meant to be.
func suggestion(name string) string {
	best, distance := "", 3
	for _, s := range settings {
		if d := editDistance(strings.ToUpper(name), s.name); d < distance {
			best, distance = s.name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
