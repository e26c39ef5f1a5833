package commands

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"sohbet/server/checks"
	"sohbet/server/config"
	"sohbet/server/disk"
	"sohbet/server/lock"
	"sohbet/server/logging"
	"sohbet/server/telegram"
)

const (
	doctorPatience  = time.Minute      // total timeout
	databaseTimeout = 10 * time.Second // timeout of each database check
	verifyTimeout   = 10 * time.Second // how long stored data is read to find damage
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
	}
	v.server(ctx)
	v.bot(ctx)
	return v.print(stdout)
}

// examination collects the doctor's findings.
type examination struct {
	cfg      *config.Config
	findings []telegram.Finding
	running  bool            // the server responds
	reasons  map[string]bool // of the problems found so far
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

// result adds the finding of a check that /health makes too, and reports whether it is good.
func (v *examination) result(title string, r checks.Result) bool {
	if r.Status == checks.OK {
		return true
	}
	grade := telegram.Fail
	if r.Status == checks.Warning {
		grade = telegram.Warn
	}
	if v.reasons == nil {
		v.reasons = make(map[string]bool)
	}
	v.reasons[r.Reason] = true
	v.found(title, grade, cmp.Or(r.Text(Locale()), r.Detail), cmp.Or(r.Cure(Locale()), say(title+"_cure")))
	return false
}

// folder prepares the data folder, and checks that files can be written there.
func (v *examination) folder() bool {
	if _, err := v.cfg.Prepare(); err != nil {
		v.found("folder", telegram.Fail, err.Error(), say("folder_cure"))
		return false
	}
	return true
}

// disk checks the disk of the data folder. spare returns the free bytes inside the database file; it may be nil.
func (v *examination) disk(ctx context.Context, spare func(context.Context) (uint64, error)) {
	r, _ := checks.Disk(ctx, disk.New(disk.Options{Dir: v.cfg.DataDir, Floor: v.cfg.MinFree, Spare: spare}))
	if v.result("folder", r) {
		v.found("folder", telegram.OK, say("folder_good", "folder", v.cfg.DataDir), "")
	}
}

func (v *examination) database(ctx context.Context, stderr io.Writer) {
	opening, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	log := logging.New(stderr, v.cfg.LogLevel, v.cfg.LogFormat == "json")
	store, err := v.open(opening, log)
	if err != nil {
		v.disk(ctx, nil)
		v.result("database", checks.OfDatabase(err))
		return
	}
	v.disk(ctx, store.Spare)
	if backlog, err := store.OutboxBacklog(opening, models.ChannelTelegram); err == nil && backlog.Aside > 0 {
		v.found("aside", telegram.Warn, say("aside_found", "n", strconv.FormatInt(backlog.Aside, 10)), say("aside_cure"))
	}
	origins := auth.NewOrigins(auth.OriginOptions{Sites: v.cfg.CORSOrigins, Public: v.cfg.PublicURL})
	if refused, found := auth.NewRefusals(store, origins, log, store.Now).Last(opening); found {
		v.found("origin", telegram.Warn, say("origin_found", "origin", refused.Origin, "host", refused.Host),
			say("origin_cure", "origin", refused.Origin, "setting", refused.Setting()))
	}
	if err := store.MissingKeys(); err != nil {
		v.found("key", telegram.Fail, err.Error(), "")
	} else {
		v.found("key", telegram.OK, say("key_good"), "")
	}
	v.result("clock", checks.Clock(opening, store))
	good := say("database_good", "database", store.Dialect())
	if store.Pooled() {
		good += say("database_pooled")
	}
	reading, stop := context.WithTimeout(ctx, verifyTimeout)
	defer stop()
	whole, damage := store.Verify(reading)
	if !whole {
		good += say("database_part")
	}
	checking, end := context.WithTimeout(ctx, databaseTimeout)
	defer end()
	r := checks.Database(checking, store)
	if damage != nil {
		r = checks.OfDatabase(damage)
	}
	if err := store.Close(); err != nil && r.Status == checks.OK {
		r = checks.OfDatabase(err)
	}
	if v.result("database", r) {
		v.found("database", telegram.OK, good, "")
	}
}

// open opens the database, unless files of it were deleted under a running server: then this would make new ones.
func (v *examination) open(ctx context.Context, log *slog.Logger) (*models.Store, error) {
	if path, sqlite := strings.CutPrefix(v.cfg.DatabaseURL, "sqlite://"); sqlite {
		if gone := models.LiveFilesGone(path); gone != nil {
			held, err := lock.Take(v.cfg.LockFiles()...)
			if errors.As(err, new(*lock.HeldError)) {
				return nil, gone
			}
			if held != nil && held.Close() != nil {
				return nil, gone
			}
		}
	}
	return models.Open(ctx, models.Options{URL: v.cfg.DatabaseURL, Keys: v.cfg.SecretKeys, MissingKeys: models.IgnoreMissingKeys, Logger: log})
}

// server queries the running server, which alone knows the state of its connections.
func (v *examination) server(ctx context.Context) {
	address := net.JoinHostPort(cmp.Or(strings.Trim(v.cfg.Host, "[]"), "127.0.0.1"), strconv.Itoa(v.cfg.Port))
	reported, err := v.health(ctx, address)
	if err != nil {
		v.found("server", telegram.Warn, say("server_silent", "address", address), say("server_cure"))
		return
	}
	v.running = true
	well := true
	for _, name := range slices.Sorted(maps.Keys(reported)) {
		c := reported[name]
		if c.Status != "warning" && c.Status != "error" {
			continue
		}
		well = false
		if c.Reason != "" && v.reasons[c.Reason] {
			continue // found above too
		}
		if p := telegram.Explain(c.Reason, cmp.Or(c.ChatID, strconv.FormatInt(c.Aside, 10)), Locale()); p.Text != "" {
			v.found("telegram", telegram.Fail, p.Text, p.Cure)
			continue
		}
		grade := telegram.Fail
		if c.Status == "warning" {
			grade = telegram.Warn
		}
		r := checks.Result{Reason: c.Reason}
		v.found("server", grade, name+": "+cmp.Or(r.Text(Locale()), c.Detail, c.Status), cmp.Or(r.Cure(Locale()), c.Cure))
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
