package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// setting is one row of the table. set parses, validates and stores the value; its error describes the expected form and does not
// contain the value.
type setting struct {
	group, name, def string
	kind             string // form of the value, shown in the example
	secret           bool
	live             bool   // owners may change it while the server runs, see [Config.With]
	about            string // lines of help
	set              func(*Config, string) error
}

// show returns a value as error messages may quote it.
func (s *setting) show(value string) string {
	if !s.secret {
		return strconv.Quote(value)
	}
	if scheme, _, ok := strings.Cut(value, "://"); ok && len(scheme) < 16 && !strings.ContainsAny(scheme, " @:/") {
		return strconv.Quote(scheme + "://****")
	}
	return fmt.Sprintf("\"****\" (%d characters)", len([]rune(value)))
}

// settings are all settings, in the order of the example file.
var settings = []setting{
	{group: "Address", name: "PORT", def: "5000", kind: "number", set: integer(0, 65535, func(c *Config) *int { return &c.Port }),
		about: "Port to listen on; 0 picks a free one."},
	{name: "HOST", kind: "address", set: setHost,
		about: "Address to listen on; empty means all of them."},
	{name: "PUBLIC_URL", kind: "address", set: setPublicURL,
		about: "URL of this server for browsers: https://chat.example. Needed behind a proxy that changes Host without saying so in\n" +
			"X-Forwarded-Host, and for a path: with https://shop.example/chat/ everything is served below /chat/, whether the\n" +
			"proxy keeps that path or strips it. Empty: the host of each request."},

	{group: "Signing in", name: "SECRET_KEY", kind: "text", secret: true, set: setSecretKey,
		about: "Signs sessions and encrypts messages. At least 32 characters; make one with: openssl rand -hex 32\n" +
			"Empty: made at first start and kept in DATA_DIR/secret.key. Required with PostgreSQL.\n" +
			"Without it no stored message can be read any more: keep a copy, apart from the backups.\n" +
			"To rotate, put the new key before the old one with a comma and restart; run sohbet rekey; drop the old\n" +
			"one a day later, when nobody is signed in with it any more."},
	{name: "ADMIN_USERNAME", def: "admin", kind: "text", set: setAdminUsername,
		about: "Name of the owner's account, made at the first start. A later change here renames it."},
	{name: "ADMIN_PASSWORD", kind: "text", secret: true, set: setAdminPassword,
		about: "Password of that account. With a password set, a one-time code is only sent after it. Plain text, or an\n" +
			"argon2id hash ($argon2id$v=19$…). A later change here replaces the password."},
	{name: "OIDC_ISSUER", kind: "address", set: setOIDCIssuer,
		about: "OpenID Connect provider at which agents can sign in: https://login.shop.example. It knows them by the e-mail addresses\n" +
			"of their accounts here, which it must have verified. Register PUBLIC_URL/login/oidc/callback there."},
	{name: "OIDC_CLIENT_ID", kind: "text", set: line(200, func(c *Config) *string { return &c.OIDC.ClientID }),
		about: "The id under which the provider knows this server."},
	{name: "OIDC_CLIENT_SECRET", kind: "text", secret: true, set: line(1000, func(c *Config) *string { return &c.OIDC.ClientSecret }),
		about: "The secret that belongs to it; empty if the provider gave none."},
	{name: "OIDC_NAME", kind: "text", set: line(40, func(c *Config) *string { return &c.OIDC.Name }),
		about: "The provider's name on the sign-in page. Empty: its host."},

	{group: "What visitors see", name: "BRAND_NAME", kind: "text", live: true, set: line(60, func(c *Config) *string { return &c.Brand.Name }),
		about: "Name of the shop."},
	{name: "BRAND_COLOR", kind: "#rrggbb", live: true, set: setBrandColor,
		about: "Colour of buttons and of visitors' messages. It is made lighter or darker where it could not be read."},
	{name: "BRAND_LOGO", kind: "address or path", live: true, set: picture(func(c *Config) *string { return &c.Brand.Logo }),
		about: "Picture next to the name: an https address, or a PNG, JPEG, WebP, GIF or SVG file in DATA_DIR."},
	{name: "BRAND_GREETING", kind: "text", live: true, set: line(300, func(c *Config) *string { return &c.Brand.Greeting }),
		about: "Greeting for visitors."},
	{name: "AGENT_NAME", kind: "text", live: true, set: line(60, func(c *Config) *string { return &c.Brand.Agent }),
		about: "Name of the team, as visitors see it."},
	{name: "AGENT_AVATAR", kind: "address or path", live: true, set: picture(func(c *Config) *string { return &c.Brand.Avatar }),
		about: "Picture of the team, in the same forms as BRAND_LOGO."},
	{name: "OPENING_HOURS", kind: "time zone, days and times", live: true, set: setOpeningHours,
		about: "When the team answers: Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00. Dates may have other hours:\n" +
			"2026-12-24 09:00-13:00, 2026-12-25..2026-12-31 closed. Visitors see when it is closed, and until when.\n" +
			"Empty: always open."},
	{name: "AGENT_IDLE", def: "15m", kind: "duration", set: setAgentIdle,
		about: "After this time without input in the console an agent is shown to the others as away. 0: never."},
	{name: "IDENTITY_SECRET", kind: "text", live: true, secret: true, set: setIdentitySecret,
		about: "For sites that embed the chat and know their users: the site's server signs a user's id with this secret (lower-case\n" +
			"hex of HMAC-SHA256), and the user has the same conversation on every device. At least 32 characters."},
	{name: "PUSH_CONTACT", kind: "address", set: setPushContact,
		about: "How push services reach you about the notifications that agents' browsers get: mailto:you@shop.example or an https\n" +
			"address. Empty: the address of this server."},

	{group: "Storage", name: "DATA_DIR", def: "data", kind: "folder", set: setDataDir,
		about: "Folder of the database, the uploads and the generated key."},
	{name: "DATABASE_URL", kind: "address", secret: true, set: setDatabaseURL,
		about: "Empty: SQLite at DATA_DIR/chat.db. Otherwise postgres://user:password@host/name or sqlite://PATH."},
	{name: "CACHE_TTL", def: "3m", kind: "duration", set: setCacheTTL,
		about: "How long messages and threads stay in memory, from 1s to 24h."},
	{name: "MESSAGE_RETENTION_DAYS", def: "0", kind: "number", live: true, set: integer(0, 36500, func(c *Config) *int { return &c.RetentionDays }),
		about: "Messages older than this many days are deleted; 0 keeps them."},
	{name: "AUDIT_RETENTION", def: "365d", kind: "days", set: setAuditRetention,
		about: "How long the audit log keeps who did what; 0d keeps all of it."},
	{name: "UPLOAD_DISK_LIMIT", def: "1GB", kind: "size", set: size(16<<20, false, func(c *Config) *int64 { return &c.UploadDisk }),
		about: "Maximum total size of uploaded files in DATA_DIR, such as 500MB or 20GB. Uploads are refused beyond it."},
	{name: "MIN_FREE_DISK", def: "128MB", kind: "size or off", set: size(1<<20, true, func(c *Config) *int64 { return &c.MinFree }),
		about: "Space that visitors leave free on the disk of DATA_DIR, never more than a tenth of it. Below it their messages and all\n" +
			"uploads are refused, while agents can still answer and delete. /health warns before: below four times as much, or\n" +
			"a fifth of the disk. The disk of PostgreSQL is not checked."},

	{group: "Telegram", name: "TELEGRAM_BOT_TOKEN", kind: "text", secret: true, set: setBotToken,
		about: "Token from @BotFather. Goes together with TELEGRAM_CHAT_ID; both empty means no Telegram."},
	{name: "TELEGRAM_CHAT_ID", kind: "number", set: setChatID,
		about: "Chat in which the operator answers; groups have negative numbers."},
	{name: "TELEGRAM_API_URL", def: "https://api.telegram.org", kind: "address",
		set:   address(func(c *Config) *string { return &c.Telegram.APIURL }, "http", "https"),
		about: "Address of the Bot API, for a server of your own."},
	{name: "TELEGRAM_WEBHOOK_URL", kind: "address",
		set:   address(func(c *Config) *string { return &c.Telegram.WebhookURL }, "http", "https"),
		about: "Public https address of this server; switches from polling to a webhook."},
	{name: "TELEGRAM_TOPIC_ASSIGNEE", def: "false", kind: "true or false", set: choice("false", "true", func(c *Config) *bool { return &c.Telegram.TopicAssignees }),
		about: "Whether topics show who answers, after the visitor's name."},
	{name: "TELEGRAM_UNLINKED", def: "team", kind: "team or refuse", set: choice("team", "refuse", func(c *Config) *bool { return &c.Telegram.RefuseUnlinked }),
		about: "What members of the chat may do whose account is not linked to an agent: answer as the team, or only read."},
	{name: "RATE_LIMIT_TELEGRAM", kind: "count/duration or off", set: setTelegramRate,
		about: "Messages that are sent into the chat. Empty: what Telegram documents, 20/1m for a group. off: no limit but Telegram's\n" +
			"own responses, for a Bot API server of your own."},

	{group: "Files", name: "CLOUDINARY_CLOUD_NAME", kind: "text", set: setCloudName,
		about: "Files go to Cloudinary when these three are set (or CLOUDINARY_URL), else into DATA_DIR."},
	{name: "CLOUDINARY_API_KEY", kind: "text", set: setCloudKey},
	{name: "CLOUDINARY_API_SECRET", kind: "text", secret: true, set: word(func(c *Config) *string { return &c.Cloudinary.APISecret })},
	{name: "CLOUDINARY_URL", kind: "address", secret: true, set: setCloudinaryURL,
		about: "Instead of the three above: cloudinary://key:secret@cloud-name"},
	{name: "CLOUDINARY_UPLOAD_PREFIX", def: "https://api.cloudinary.com", kind: "address",
		set:   address(func(c *Config) *string { return &c.Cloudinary.UploadPrefix }, "http", "https"),
		about: "Address of Cloudinary's upload API, for accounts in another region."},

	{group: "Limits and trust", name: "CORS_ORIGINS", kind: "list", live: true, set: setOrigins,
		about: "Other sites that may embed the chat and call this server, with commas: https://shop.example"},
	{name: "TRUSTED_PROXIES", kind: "list", set: setProxies,
		about: "Addresses or networks of proxies whose CLIENT_ADDRESS_HEADER, X-Forwarded-Proto and X-Forwarded-Host count, with\n" +
			"commas. Empty: none; on Railway, its edge."},
	{name: "CLIENT_ADDRESS_HEADER", def: "X-Forwarded-For", kind: "name of a header", set: setAddressHeader,
		about: "Header in which those proxies write the client's address, for one that writes another, such as X-Real-IP or\n" +
			"CF-Connecting-IP. It is read from the right; no other header counts. On Railway's edge: X-Real-IP."},
	{name: "RATE_LIMIT_MESSAGE", def: "30/1m", kind: "count/duration or off", live: true, set: limit(func(c *Config) *Rate { return &c.MessageLimit }),
		about: "Messages of one visitor. An address may send twenty times as many and start twice as many conversations. Of what is\n" +
			"stored for them, 10 KB count for each message of a visitor, and four times as much for an address."},
	{name: "RATE_LIMIT_UPLOAD", def: "10/5m", kind: "count/duration or off", live: true, set: limit(func(c *Config) *Rate { return &c.UploadLimit }),
		about: "Uploads from one address."},
	{name: "RATE_LIMIT_API", def: "300/1m", kind: "count/duration or off", set: limit(func(c *Config) *Rate { return &c.APILimit }),
		about: "Requests to /api from one address. It may open twice as many sockets, a thousand at a time; each of them may send\n" +
			"four times as many events."},
	{name: "RATE_LIMIT_LOGIN", def: "5/15m", kind: "count/duration or off", live: true, set: limit(func(c *Config) *Rate { return &c.LoginLimit }),
		about: "Codes requested, and codes or passwords entered, from one address or a browser that signed in before. Guesses at\n" +
			"codes are also limited for all addresses together, even when this is off."},

	{group: "Running it", name: "LOG_LEVEL", def: "info", kind: "debug, info, warn or error", live: true, set: setLogLevel,
		about: "Lowest level of the lines that are logged."},
	{name: "LOG_FORMAT", kind: "text or json", set: oneOf(func(c *Config) *string { return &c.LogFormat }, "text", "json"),
		about: "Empty: text on a terminal, otherwise json."},
	{name: "SENTRY_DSN", kind: "address", secret: true,
		set:   address(func(c *Config) *string { return &c.SentryDSN }, "http", "https"),
		about: "Where errors are reported: the DSN of a project in Sentry or GlitchTip. Empty: nowhere."},
	{name: "RELEASE_URL", kind: "address", secret: true,
		set: address(func(c *Config) *string { return &c.ReleaseURL }, "http", "https"),
		about: "Where sohbet version --check asks for the latest release, in the form of GitHub, GitLab and Forgejo:\n" +
			"https://git.example/api/v1/repos/OWNER/sohbet/releases/latest. The server itself never asks."},
	{name: "METRICS_TOKEN", kind: "text", live: true, secret: true, set: word(func(c *Config) *string { return &c.MetricsToken }),
		about: "Bearer token for /metrics, and for the version and figures of /health. Empty: for signed-in agents alone."},
	{name: "REDIS_URL", kind: "address", secret: true,
		set: address(func(c *Config) *string { return &c.RedisURL }, "redis", "rediss"),
		about: "For several processes behind one address, together with PostgreSQL: redis://user:password@host:6379/0\n" +
			"(docs/scaling.md)."},
	{name: "SOCKET_TRANSPORTS", def: "polling,websocket", kind: "list", set: setTransports,
		about: "How browsers may hold their connection. websocket alone needs no sticky sessions in front of several processes,\n" +
			"and excludes networks that block websockets."},
	{name: "DEFAULT_LOCALE", def: "tr", kind: "tr or en", live: true, set: oneOf(func(c *Config) *string { return &c.Locale }, "tr", "en"),
		about: "Language of the pages for browsers that ask for neither."},
}

// WriteExample writes the commented example file config.example.env.
func WriteExample(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Settings of Sohbet. Copy this file to config.env and uncomment what you change.\n" +
		"# A variable of the environment wins over the file.\n# " + fileRule + "\n# A comment has a line of its own.\n# Written from the table in server/config; do not edit by hand.\n")
	for _, s := range settings {
		if s.group != "" {
			fmt.Fprintf(&b, "\n# ===== %s =====\n", s.group)
		}
		b.WriteString("\n")
		if s.about != "" {
			for line := range strings.SplitSeq(s.about, "\n") {
				b.WriteString("# " + line + "\n")
			}
		}
		fmt.Fprintf(&b, "# (%s)\n#%s=%s\n", s.kind, s.name, s.def)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteTable writes every setting as a row of a Markdown table, for README.md.
func WriteTable(w io.Writer) error {
	b := strings.NewReplacer("|", "\\|", "\n", " ")
	rows := []string{"| variable | default | what it does |", "|---|---|---|"}
	for _, s := range settings {
		def := ""
		if s.def != "" {
			def = "`" + s.def + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", s.name, def, b.Replace(s.about)))
	}
	_, err := io.WriteString(w, strings.Join(rows, "\n")+"\n")
	return err
}
