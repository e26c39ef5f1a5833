package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sohbet/models"
	"sohbet/models/storetest"
	"sohbet/server/commands"
	"sohbet/server/telegram/telegramtest"
)

// folder creates a data folder with a seeded database and points the settings to it.
func folder(t *testing.T, key string, messages ...string) (dir string, o models.Options) {
	t.Helper()
	dir = t.TempDir()
	o = models.Options{URL: "sqlite://" + filepath.Join(dir, "chat.db"), Keys: []string{key}}
	store, err := models.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(messages) > 0 {
		seed(t, store, threadA, "Ada", messages...)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // has no config.env
	t.Setenv("DATA_DIR", dir)
	t.Setenv("DATABASE_URL", "")
	t.Setenv("SECRET_KEY", key)
	return dir, o
}

// failure is a command's exit code and standard error.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }

func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, log bytes.Buffer
	if code := Main(t.Context(), Build{}, args, &out, &log); code != commands.ExitOK {
		return out.String(), failure{code, log.String()}
	}
	return out.String(), nil
}

func TestRekeyCommand(t *testing.T) {
	const next = "another secret of 32 characters !"
	_, o := folder(t, testKey, "one", "two")
	t.Setenv("SECRET_KEY", next+","+testKey)
	out, err := command(t, "rekey")
	if err != nil || !strings.HasPrefix(out, "3 texts checked, 3 re-encrypted with the first of 2 keys, 0 that") {
		t.Fatalf("%q, %v", out, err)
	}
	o.Keys = []string{next}
	list, _, err := storetest.Reopen(t, o).Messages(t.Context(), threadA, models.MessageQuery{})
	if err != nil || len(list) != 2 || list[1].ContentText != "two" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestBackupAndRestoreCommands(t *testing.T) {
	dir, o := folder(t, testKey, "one", "two")
	if err := os.MkdirAll(filepath.Join(dir, "uploads", "image"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "uploads", "image", "a.png"), []byte("picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "b.sohbet")
	if out, err := command(t, "backup", file); err != nil || !strings.Contains(out, "1 uploaded files") || !strings.Contains(out, "keep the key") {
		t.Fatalf("%q, %v", out, err)
	}
	if _, err := command(t, "restore", file); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("over what is there: %v", err)
	}
	if out, err := command(t, "restore", "--force", file); err != nil || !strings.Contains(out, "restored") {
		t.Errorf("%q, %v", out, err)
	}
	fresh := t.TempDir()
	t.Setenv("DATA_DIR", fresh)
	if out, err := command(t, "restore", file); err != nil {
		t.Fatalf("%q, %v", out, err)
	}
	o.URL = "sqlite://" + filepath.Join(fresh, "chat.db")
	list, _, err := storetest.Reopen(t, o).Messages(t.Context(), threadA, models.MessageQuery{})
	if err != nil || len(list) != 2 || list[1].ContentText != "two" {
		t.Errorf("%+v, %v", list, err)
	}
	if content, err := os.ReadFile(filepath.Join(fresh, "uploads", "image", "a.png")); err != nil || string(content) != "picture" {
		t.Errorf("%q, %v", content, err)
	}
	for _, args := range [][]string{{"backup"}, {"restore"}, {"backup", "a", "b"}, {"backup", "--force", "a"}, {"restore", "/nowhere/b"}} {
		if _, err := command(t, args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func TestDoctorCommand(t *testing.T) {
	dir, _ := folder(t, testKey)
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("DEFAULT_LOCALE", "tr") // the language of pages, not of the terminal
	out, err := command(t, "doctor")
	if err != nil || !strings.Contains(out, "✓ Database           sqlite can be read and written.") || !strings.Contains(out, "! Telegram") || !strings.Contains(out, "→ In Telegram write /newbot") {
		t.Errorf("%s\n%v", out, err)
	}
	bot := telegramtest.New(t, telegramtest.Forum())
	t.Setenv("TELEGRAM_BOT_TOKEN", telegramtest.Token)
	t.Setenv("TELEGRAM_CHAT_ID", strconv.FormatInt(telegramtest.GroupID, 10))
	t.Setenv("TELEGRAM_API_URL", bot.URL)
	bot.Hook("https://elsewhere.example/hook")
	out, err = command(t, "doctor")
	if err == nil || !strings.Contains(err.Error(), "1 of 12 checks failed") || !strings.Contains(out, "✗ Incoming messages  A webhook at elsewhere.example") {
		t.Errorf("%s\n%v", out, err)
	}
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	t.Setenv("DEFAULT_LOCALE", "en")
	t.Setenv("DATABASE_URL", "sqlite://"+filepath.Join(dir, "no", "such", "folder", "chat.db"))
	out, err = command(t, "doctor")
	if err == nil || !strings.Contains(out, "✗ Veritabanı") || !strings.Contains(out, "→ DATABASE_URL'i") || strings.Contains(out, telegramtest.Token) {
		t.Errorf("%s\n%v", out, err)
	}
}

func TestPruneCommand(t *testing.T) {
	_, o := folder(t, testKey, "one", "two")
	if out, err := command(t, "prune"); err != nil || !strings.HasPrefix(out, "0 messages, ") {
		t.Fatalf("%q, %v", out, err)
	}
	store := storetest.Reopen(t, o)
	old := models.NewMessage{ThreadID: threadA, ContentText: "old", SenderType: models.Visitor, CreatedAt: time.Now().AddDate(0, 0, -40)}
	if _, err := store.AppendWait(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "prune", "--days", "30"); err != nil || !strings.HasPrefix(out, "1 messages, ") {
		t.Errorf("%q, %v", out, err)
	}
	list, _, err := storetest.Reopen(t, o).Messages(t.Context(), threadA, models.MessageQuery{})
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}
