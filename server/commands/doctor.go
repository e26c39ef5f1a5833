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

	"sohbet/assets/locales"
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
	v := &examination{cfg: cfg}
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
	findings []telegram.Finding
	running  bool // the server responds
}

// say returns a text of the doctor in the language of the terminal.
func say(key string, pairs ...string) string { return locales.Text(Locale(), "doctor."+key, pairs...) }

func (v *examination) found(title string, g telegram.Grade, text, cure string) {
	v.findings = append(v.findings, telegram.Finding{Check: title, Grade: g, Title: say(title), Text: Localized(text), Cure: cure})
}

func (v *examination) settings() {
	if len(v.cfg.Warnings) == 0 {
		v.found("settings", telegram.OK, say("settings_good"), "")
	}
	for _, warning := range v.cfg.Warnings {
		v.found("settings", telegram.Warn, warning, say("settings_cure"))
	}
}

// folder checks the data folder by writing and removing a file.
func (v *examination) folder() bool {
	_, err := v.cfg.Prepare()
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(v.cfg.DataDir, ".sohbet-doctor-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		v.found("folder", telegram.Fail, err.Error(), say("folder_cure"))
		return false
	}
	v.found("folder", telegram.OK, say("folder_good", "folder", v.cfg.DataDir), "")
	return true
}

func (v *examination) database(ctx context.Context, stderr io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	log := logging.New(stderr, v.cfg.LogLevel, v.cfg.LogFormat == "json")
	store, err := models.Open(ctx, models.Options{URL: v.cfg.DatabaseURL, Keys: v.cfg.SecretKeys, MissingKeys: models.IgnoreMissingKeys, Logger: log})
	if err != nil {
		v.found("database", telegram.Fail, err.Error(), say("database_cure"))
		return
	}
	if backlog, err := store.OutboxBacklog(ctx, models.ChannelTelegram); err == nil && backlog.Aside > 0 {
		v.found("aside", telegram.Warn, say("aside_found", "n", strconv.FormatInt(backlog.Aside, 10)), say("aside_cure"))
	}
	origins := auth.NewOrigins(auth.OriginOptions{Sites: v.cfg.CORSOrigins, Public: v.cfg.PublicURL})
	if refused, found := auth.NewRefusals(store, origins, log, time.Now).Last(ctx); found {
		v.found("origin", telegram.Warn, say("origin_found", "origin", refused.Origin, "host", refused.Host),
			say("origin_cure", "origin", refused.Origin, "setting", refused.Setting()))
	}
	if err := store.MissingKeys(); err != nil {
		v.found("key", telegram.Fail, err.Error(), "")
	} else {
		v.found("key", telegram.OK, say("key_good"), "")
	}
	condition := store.Check(ctx)
	switch err := errors.Join(condition.Writes, store.Close()); {
	case err != nil:
		v.found("database", telegram.Fail, err.Error(), say("database_cure"))
	case store.Pooled():
		v.found("database", telegram.OK, say("database_good", "database", store.Dialect())+say("database_pooled"), "")
	default:
		v.found("database", telegram.OK, say("database_good", "database", store.Dialect()), "")
	}
}

// server queries the running server, which alone knows the state of its connections.
func (v *examination) server(ctx context.Context) {
	address := net.JoinHostPort(cmp.Or(strings.Trim(v.cfg.Host, "[]"), "127.0.0.1"), strconv.Itoa(v.cfg.Port))
	checks, err := v.health(ctx, address)
	if err != nil {
		v.found("server", telegram.Warn, say("server_silent", "address", address), say("server_cure"))
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
		v.found("server", telegram.OK, say("server_good", "address", address), "")
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
		v.found("telegram", telegram.Warn, say("telegram_off"), say("telegram_cure"))
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
