package commands

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sohbet/assets/locales"
	"sohbet/server/config"
)

func speak(t *testing.T, locale string) {
	t.Helper()
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		t.Setenv(name, "")
	}
	t.Setenv("LANG", locale)
}

func TestLocale(t *testing.T) {
	for _, tc := range []struct{ all, messages, lang, want string }{
		{"", "", "", "en"}, {"", "", "tr_TR.UTF-8", "tr"}, {"", "", "tr", "tr"}, {"", "", "TR_CY@euro", "tr"}, {"", "", "trv_TW", "en"},
		{"", "", "C.UTF-8", "en"}, {"", "", "POSIX", "en"}, {"", "", "de_DE.UTF-8", "en"}, {"", "", "en_GB.UTF-8", "en"},
		{"", "tr_TR", "en_US", "tr"}, {"C", "tr_TR", "tr_TR", "en"}, {"tr_TR", "en_US", "de_DE", "tr"}, {"", "", "_", "en"},
	} {
		t.Setenv("LC_ALL", tc.all)
		t.Setenv("LC_MESSAGES", tc.messages)
		t.Setenv("LANG", tc.lang)
		if got := Locale(); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

// TestEveryCommandHasTurkishTexts checks that each text of each command, and each literal passed to Text, has a translation.
func TestEveryCommandHasTurkishTexts(t *testing.T) {
	turkish := locales.TranslationsOf("tr").Commands
	var every func(*cobra.Command)
	every = func(c *cobra.Command) {
		texts := []string{c.Short, c.Long}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				texts = append(texts, f.Usage)
			}
		})
		for _, text := range texts {
			if _, ok := turkish[text]; text != "" && !ok {
				t.Errorf("%s: no Turkish for %q", c.Name(), text)
			}
		}
		for _, below := range c.Commands() {
			every(below)
		}
	}
	every(Program{}.root())
	for _, word := range usageWords {
		if _, ok := turkish[word]; !ok {
			t.Errorf("no Turkish for %q", word)
		}
	}
	verbs := regexp.MustCompile(`%\w`)
	for english, text := range turkish {
		if e, tr := verbs.FindAllString(english, -1), verbs.FindAllString(text, -1); strings.Join(e, "") != strings.Join(tr, "") {
			t.Errorf("%q has verbs %v, its Turkish %v", english, e, tr)
		}
	}
	// Literals passed to Text in the code.
	literal := regexp.MustCompile(`\bText\(("(?:[^"\\]|\\.)*")`)
	for _, file := range []string{"commands.go", "maintenance_commands.go", "agent_commands.go", "doctor.go", "help_translation.go", "locale.go", "message_translation.go", "version_check.go", "../app/app.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(source), -1) {
			text, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			if turkish[text] == "" {
				t.Errorf("%s: no Turkish for %s", file, m[1])
			}
		}
	}
}

func TestHelpInTheTerminalsLanguage(t *testing.T) {
	for locale, want := range map[string][]string{
		"tr_TR.UTF-8": {"Kullanım:", "Komutlar:", "Komutsuz çalıştırıldığında", "için yardım"},
		"de_DE.UTF-8": {"Usage:", "Available Commands:", "Without a command it serves", "help for sohbet"},
	} {
		speak(t, locale)
		var out, errs bytes.Buffer
		if code := Run(t.Context(), Program{}, []string{"help"}, &out, &errs); code != ExitOK {
			t.Errorf("%s: %d %s", locale, code, &errs)
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: no %q in\n%s", locale, text, &out)
			}
		}
	}
	speak(t, "tr_TR.UTF-8")
	for args, want := range map[string]string{"nonsense": `"nonsense" diye bir komut yok`, "backup": "tek bir dosya adı", "prune --dais 3": "--dais", "prune --days=-1": "gün sayısı"} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), Program{}, strings.Fields(args), &out, &errs); code != ExitUsage || !strings.Contains(errs.String(), want) || strings.Contains(errs.String(), "unknown") {
			t.Errorf("%s: %d %s", args, code, &errs)
		}
	}
}

// TestWrongSettingsInTurkish triggers each kind of invalid setting and checks that no English word is left.
func TestWrongSettingsInTurkish(t *testing.T) {
	speak(t, "tr_TR")
	english := regexp.MustCompile(`\b(want|holds|such|characters|cannot|the|with|and|set|stands|has)\b`)
	for _, pairs := range [][]string{
		{"PORT", "x"}, {"HOST", "http://x"}, {"SECRET_KEY", "short"}, {"DATABASE_URL", "postgres://u:p@db/x"}, {"DATABASE_URL", "mysql://x"}, {"DATABASE_URL", "sqlite://x?y=1"},
		{"ADMIN_PASSWORD", "$argon2id$x"}, {"ADMIN_USERNAME", strings.Repeat("a", 51)}, {"CACHE_TTL", "3"}, {"UPLOAD_DISK_LIMIT", "lots"}, {"MIN_FREE_DISK", "5%"},
		{"TELEGRAM_BOT_TOKEN", "1:a"}, {"TELEGRAM_BOT_TOKEN", "a"}, {"TELEGRAM_CHAT_ID", "7"}, {"TELEGRAM_CHAT_ID", "@me"}, {"TELEGRAM_WEBHOOK_URL", "https://x"}, {"TELEGRAM_API_URL", "x"},
		{"CLOUDINARY_API_KEY", "k"}, {"CLOUDINARY_URL", "x"}, {"CLOUDINARY_URL", "cloudinary://key:s@shop", "CLOUDINARY_CLOUD_NAME", "other"}, {"CLOUDINARY_CLOUD_NAME", "a/b"},
		{"SOCKET_TRANSPORTS", "smoke"}, {"CORS_ORIGINS", "*"}, {"TRUSTED_PROXIES", "x"}, {"CLIENT_ADDRESS_HEADER", "Forwarded"}, {"RATE_LIMIT_API", "1/1x"}, {"LOG_LEVEL", "x"}, {"LOG_FORMAT", "x"},
		{"METRICS_TOKEN", "a b"}, {"REDIS_URL", "x"}, {"BRAND_NAME", strings.Repeat("x", 61)}, {"BRAND_COLOR", "red"}, {"BRAND_LOGO", "../x"}, {"OPENING_HOURS", "x"}, {"OPENING_HOURS", "Mars/Base Mon 1-2"},
		{"OPENING_HOURS", "UTC x"}, {"OPENING_HOURS", "UTC Mon 1-2"}, {"OPENING_HOURS", "UTC Foo 09:00-18:00"}, {"IDENTITY_SECRET", "x"}, {"PUSH_CONTACT", "x"}, {"DEFAULT_LOCALE", "de"},
	} {
		values := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			values[pairs[i]] = pairs[i+1]
		}
		_, err := config.Load(t.TempDir(), func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err == nil {
			t.Errorf("%v: no error", pairs)
			continue
		}
		if text := Localized(err.Error()); english.MatchString(text) || !strings.Contains(text, pairs[0]) && !strings.Contains(text, "TELEGRAM") && !strings.Contains(text, "SECRET_KEY") && !strings.Contains(text, "CLOUDINARY") {
			t.Errorf("%v: %q of %q", pairs, text, err)
		}
	}
	for text, want := range map[string]string{
		`PORT holds "the": want a whole number from 0 to 65535`:                           `PORT değeri "the": 0 ile 65535 arasında bir tam sayı yazın`,
		"/x/config.env, line 3: PORT is set a second time; remove one of them":            "/x/config.env, 3. satır: PORT ikinci kez yazılmış; birini silin",
		"models: the database does not work: the disk of the database is full (open: 13)": "veritabanı çalışmıyor: veritabanının diski dolu (open: 13)",
		"process 42 on web1 works with /d/chat.db, at http://localhost:5000: stop it first, or give this one a DATA_DIR of its own (several processes for one chat need PostgreSQL)": "web1 üzerindeki 42 numaralı süreç /d/chat.db ile çalışıyor, adresi http://localhost:5000: önce onu durdurun ya da buna ayrı bir DATA_DIR verin (bir sohbet için birden çok süreç PostgreSQL ister)",
		"what it does not know %d": "what it does not know %d",
	} {
		if got := Localized(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
