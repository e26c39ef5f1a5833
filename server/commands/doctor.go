package commands

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sohbet/models"
	"sohbet/server/auth"
	"sohbet/server/config"
	"sohbet/server/logging"
	"sohbet/server/telegram"
)

const (
	doctorPatience  = time.Minute      // total timeout
	databaseTimeout = 10 * time.Second // timeout of each database check
	serverTimeout   = 10 * time.Second // timeout of the running server's response
)

func doctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check settings, database, server and Telegram, and report how to fix problems",
		Long: "Check settings, data folder, database, the running server and the Telegram bot, and report how to fix each\n" +
			"problem, in the language of the terminal (LC_ALL, LC_MESSAGES, LANG). The exit code is 1 when a check failed.",
		Args: exactly(0, "nothing more"), Example: "  sohbet doctor",
		RunE: func(c *cobra.Command, _ []string) error {
			return examine(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
}

// examine prints each finding; its error says how many checks failed.
func examine(ctx context.Context, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	cfg, err := config.Load(".", os.LookupEnv)
	if err != nil {
		return err // names each variable and the expected value
	}
	v := &examination{cfg: cfg, say: doctorEnglish}
	if Locale() == "tr" {
		v.say = doctorTurkish
	}
	v.settings()
	if v.folder() {
		v.database(ctx, stderr)
		v.server(ctx)
	}
	v.bot(ctx)
	return v.print(stdout)
}

// examination collects the doctor's findings.
type examination struct {
	cfg      *config.Config
	say      map[string]string
	findings []telegram.Finding
	running  bool // the server responds
}

func (v *examination) found(title string, g telegram.Grade, text, cure string) {
	v.findings = append(v.findings, telegram.Finding{Check: title, Grade: g, Title: v.say[title], Text: Localized(text), Cure: cure})
}

func (v *examination) settings() {
	if len(v.cfg.Warnings) == 0 {
		v.found("settings", telegram.OK, v.say["settings good"], "")
	}
	for _, warning := range v.cfg.Warnings {
		v.found("settings", telegram.Warn, warning, v.say["settings cure"])
	}
}

// folder checks the data folder by writing and removing a file.
func (v *examination) folder() bool {
	_, err := v.cfg.Prepare()
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(v.cfg.DataDir, "doctor-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		v.found("folder", telegram.Fail, err.Error(), v.say["folder cure"])
		return false
	}
	v.found("folder", telegram.OK, v.cfg.DataDir+v.say["folder good"], "")
	return true
}

func (v *examination) database(ctx context.Context, stderr io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	log := logging.New(stderr, v.cfg.LogLevel, v.cfg.LogFormat == "json")
	store, err := models.Open(ctx, models.Options{URL: v.cfg.DatabaseURL, Keys: v.cfg.SecretKeys, Logger: log})
	if err != nil {
		v.found("database", telegram.Fail, err.Error(), v.say["database cure"])
		return
	}
	if backlog, err := store.OutboxBacklog(ctx, models.ChannelTelegram); err == nil && backlog.Aside > 0 {
		v.found("aside", telegram.Warn, v.say["aside found"]+strconv.FormatInt(backlog.Aside, 10), v.say["aside cure"])
	}
	origins := auth.NewOrigins(auth.OriginOptions{Sites: v.cfg.CORSOrigins, Public: v.cfg.PublicURL})
	if refused, found := auth.NewRefusals(store, origins, log, time.Now).Last(ctx); found {
		v.found("origin", telegram.Warn, strings.NewReplacer("{origin}", refused.Origin, "{host}", refused.Host).Replace(v.say["origin found"]),
			strings.NewReplacer("{origin}", refused.Origin, "{setting}", refused.Setting()).Replace(v.say["origin cure"]))
	}
	condition := store.Check(ctx)
	switch err := errors.Join(condition.Writes, store.Close()); {
	case err != nil:
		v.found("database", telegram.Fail, err.Error(), v.say["database cure"])
	case store.Pooled():
		v.found("database", telegram.OK, store.Dialect()+v.say["database good"]+v.say["database pooled"], "")
	default:
		v.found("database", telegram.OK, store.Dialect()+v.say["database good"], "")
	}
}

// server queries the running server, which alone knows the state of its connections.
func (v *examination) server(ctx context.Context) {
	address := net.JoinHostPort(cmp.Or(strings.Trim(v.cfg.Host, "[]"), "127.0.0.1"), strconv.Itoa(v.cfg.Port))
	checks, err := v.health(ctx, address)
	if err != nil {
		v.found("server", telegram.Warn, strings.NewReplacer("{}", address).Replace(v.say["server silent"]), v.say["server cure"])
		return
	}
	v.running = true
	well := true
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		c := checks[name]
		if c.Status != "warning" && c.Status != "error" {
			continue
		}
		well = false
		if p := telegram.Explain(c.Reason, cmp.Or(c.ChatID, strconv.FormatInt(c.Aside, 10)), Locale()); p.Text != "" {
			v.found("telegram", telegram.Fail, p.Text, p.Cure)
			continue
		}
		grade := telegram.Fail
		if c.Status == "warning" {
			grade = telegram.Warn
		}
		v.found("server", grade, name+": "+cmp.Or(c.Detail, c.Status), c.Cure)
	}
	if well {
		v.found("server", telegram.OK, strings.NewReplacer("{}", address).Replace(v.say["server good"]), "")
	}
}

// serverCheck is a check in the response of /health.
type serverCheck struct {
	Status, Detail, Reason, Cure string
	ChatID                       string `json:"chat_id"`
	Aside                        int64  `json:"set_aside"`
}

func (v *examination) health(ctx context.Context, address string) (map[string]serverCheck, error) {
	keys, err := auth.NewKeys(v.cfg.SecretKeys)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+keys.DoctorTokens()[0])
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy may see the token
	res, err := direct.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // the body was read as far as needed
	var answer struct{ Checks map[string]serverCheck }
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&answer); err != nil {
		return nil, err
	}
	if len(answer.Checks) == 0 {
		return nil, errors.New("this is another server")
	}
	return answer.Checks, nil
}

func (v *examination) bot(ctx context.Context) {
	t := v.cfg.Telegram
	if !t.On() {
		v.found("telegram", telegram.Warn, v.say["telegram off"], v.say["telegram cure"])
		return
	}
	doctor := &telegram.Doctor{APIURL: t.APIURL, Token: t.BotToken, ChatID: t.ChatID, WebhookURL: t.WebhookURL, Client: &http.Client{}}
	if v.running { // the running server already reports whether another program receives its updates; polling here would take them from it
		doctor.Conflict = func() time.Time { return time.Time{} }
	}
	v.findings = append(v.findings, doctor.Examine(ctx, Locale())...)
}

// print writes a line for each finding followed by how to fix it.
func (v *examination) print(w io.Writer) error {
	marks := map[telegram.Grade]string{telegram.OK: "✓", telegram.Warn: "!", telegram.Fail: "✗"}
	failed := 0
	var b strings.Builder
	for _, f := range v.findings {
		fmt.Fprintf(&b, "%s %-18s %s\n", marks[f.Grade], f.Title, f.Text)
		if f.Cure != "" {
			fmt.Fprintf(&b, "  %-18s → %s\n", "", f.Cure)
		}
		if f.Grade == telegram.Fail {
			failed++
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf(Text("%d of %d checks failed"), failed, len(v.findings))
	}
	return nil
}

var doctorTurkish = map[string]string{
	"settings": "Ayarlar", "settings good": "Ayarlar okundu.", "settings cure": "config.example.env dosyasındaki açıklamaya bakın.",
	"folder": "Veri klasörü", "folder good": " klasörüne yazılabiliyor.", "folder cure": "DATA_DIR'i yazılabilen bir klasöre ayarlayın ya da klasörün sahibini düzeltin.",
	"database": "Veritabanı", "database good": " okunup yazılabiliyor.",
	"database pooled": " Önünde PgBouncer gibi bir bağlantı havuzu var: sunucuda hazır deyim ve oturum kilidi kullanılmıyor.",
	"database cure":   "DATABASE_URL'i, veritabanının çalıştığını ve diskte yer olduğunu denetleyin.",
	"aside":           "Giden mesajlar", "aside found": "Telegram'a gönderilemeyen mesaj sayısı: ", "aside cure": "Konuşmalarını panelde açıp oradan yeniden gönderin.",
	"origin": "Adres", "origin found": "{origin} sayfaları geri çevriliyor: istekleri sunucuya {host} olarak geliyor.",
	"origin cure": "Bu adres bu sunucunun adresiyse {setting} yazıp yeniden başlatın; sohbeti gösterebilecek başka bir siteyse CORS_ORIGINS'e ekleyin.", "telegram": "Telegram", "telegram off": "Telegram kapalı; giriş kodları sunucu günlüğüne yazılır.",
	"server": "Sunucu", "server good": "{} adresindeki sunucu iyi çalışıyor.", "server silent": "{} adresinde yanıt veren bir sunucu yok.",
	"server cure":   "Sunucuyu başlatın ya da komutu sunucunun HOST ve PORT ayarlarıyla çalıştırın.",
	"telegram cure": "Telegram'da @BotFather'a /newbot yazın; anahtarı TELEGRAM_BOT_TOKEN'a, sohbetin numarasını TELEGRAM_CHAT_ID'ye koyun.",
}

var doctorEnglish = map[string]string{
	"settings": "Settings", "settings good": "The settings are readable.", "settings cure": "See what config.example.env says about it.",
	"folder": "Data folder", "folder good": " can be written.", "folder cure": "Point DATA_DIR to a folder that can be written, or correct the folder's owner.",
	"database": "Database", "database good": " can be read and written.",
	"database pooled": " It is reached through a pooler such as PgBouncer: no prepared statements and no session locks are used.",
	"database cure":   "Check DATABASE_URL, that the database runs, and that the disk has room.",
	"aside":           "Outgoing messages", "aside found": "Messages that could not be sent to Telegram: ", "aside cure": "Open their conversations in the console and send them again there.",
	"origin": "Address", "origin found": "Pages of {origin} are refused: their requests reach the server as {host}.",
	"origin cure": "If that is this server's own address, set {setting} and restart; if it is another site that may show the chat, add it to CORS_ORIGINS.", "telegram": "Telegram", "telegram off": "Telegram is off; login codes go to the server's log.",
	"server": "Server", "server good": "The server at {} works well.", "server silent": "No server answers at {}.",
	"server cure":   "Start it, or run this command with the HOST and PORT of the server.",
	"telegram cure": "In Telegram write /newbot to @BotFather; put the token into TELEGRAM_BOT_TOKEN and the chat's number into TELEGRAM_CHAT_ID.",
}
