package config

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func loadFile(t *testing.T, text string, pairs ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(dir, env(pairs...))
}

func TestValuesStandAsTheyAre(t *testing.T) {
	const hash = "$argon2id$v=19$m=65536,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG"
	for line, want := range map[string]string{
		`ADMIN_PASSWORD=pa$$word#1"long`:           `pa$$word#1"long`,
		`ADMIN_PASSWORD=$ecret $HOME ${HOME} long`: `$ecret $HOME ${HOME} long`,
		`ADMIN_PASSWORD='a $b # c long enough'`:    `a $b # c long enough`,
		`ADMIN_PASSWORD="a $b # c long enough"`:    `a $b # c long enough`,
		`ADMIN_PASSWORD="it's long enough"`:        `it's long enough`,
		`ADMIN_PASSWORD='a "quoted" \n $word'`:     `a "quoted" \n $word`,
		`ADMIN_PASSWORD=it's long "enough"`:        `it's long "enough"`,
		`ADMIN_PASSWORD=#beginning with a hash`:    `#beginning with a hash`,
		`ADMIN_PASSWORD=C:\new\table=long`:         `C:\new\table=long`,
		`ADMIN_PASSWORD="C:\Program Files\x long"`: `C:\Program Files\x long`,
		`export ADMIN_PASSWORD = long enough now `: `long enough now`,
		`ADMIN_PASSWORD=` + hash:                   hash,
		`ADMIN_PASSWORD='` + hash + `'`:            hash,
		"ADMIN_PASSWORD=long enough\r\nPORT=7000":  "long enough",
		"ADMIN_PASSWORD='$PORT long'\nPORT=7000":   "$PORT long",
	} {
		c, err := loadFile(t, line+"\n")
		if err != nil || c.AdminPassword != want {
			t.Errorf("%s: %+v, %v", line, c, err)
		}
	}
	if c, err := loadFile(t, "BRAND_COLOR=#0b6b61\n"); err != nil || c.Brand.Color != "#0b6b61" {
		t.Errorf("a colour: %v", err)
	}
}

func TestAmbiguousValuesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"PORT=7000\nADMIN_PASSWORD=hunter2 # secret":        "line 2: ADMIN_PASSWORD has a # after a space",
		"ADMIN_PASSWORD='hunter2' # secret":                 "line 1: ADMIN_PASSWORD has a # after a space",
		"ADMIN_PASSWORD= # hunter2":                         "has a # after a space",
		`ADMIN_PASSWORD="hunter2`:                           "begins with a quote",
		`ADMIN_PASSWORD="hunter2" and more`:                 "a quote before its end",
		`ADMIN_PASSWORD="hunter2" and "more"`:               "quotes within quotes",
		`ADMIN_PASSWORD="hunter2\$x"`:                       "a backslash within double quotes",
		"DB=hunter2\nADMIN_PASSWORD=x${DB}y":                "line 2: ADMIN_PASSWORD names $DB",
		"DB=hunter2\nADMIN_PASSWORD=\"x$DB\"":               "names $DB",
		"PORT=1\nADMIN_PASSWORD=hunter2\nADMIN_PASSWORD=no": "line 3: ADMIN_PASSWORD is set a second time",
		"ADMIN_PASSWORD hunter2":                            "line 1, cannot be read: write NAME=value",
		"ADMIN_PASSWORD=hunter2\xfe":                        "line 1 is not UTF-8",
	} {
		_, err := loadFile(t, text+"\n")
		var wrong Invalid
		if !errors.As(err, &wrong) || len(wrong) != 1 || !strings.Contains(wrong[0], want) || strings.Contains(wrong[0], "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := loadFile(t, "A='x\nB=\"y\n"); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two wrong lines: %v", err)
	}
}

func TestEncodingsOfTheFile(t *testing.T) {
	const text = "BRAND_NAME=Çiçekçi 💐\r\nPORT=7000\r\n"
	wide := func(order binary.AppendByteOrder, mark bool) string {
		var b []byte
		if mark {
			b = order.AppendUint16(b, 0xfeff)
		}
		for _, unit := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, unit)
		}
		return string(b)
	}
	for name, file := range map[string]string{
		"UTF-8": text, "UTF-8 with a mark": "\ufeff" + text,
		"UTF-16": wide(binary.LittleEndian, true), "UTF-16 big-endian": wide(binary.BigEndian, true),
		"UTF-16 without mark": wide(binary.LittleEndian, false), "UTF-16 big-endian without mark": wide(binary.BigEndian, false),
	} {
		if c, err := loadFile(t, file); err != nil || c.Brand.Name != "Çiçekçi 💐" || c.Port != 7000 || len(c.Warnings) != 0 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := loadFile(t, "# Ayarlar\nBRAND_NAME=\xc7i\xe7ek\xe7i\n"); err == nil || !strings.Contains(err.Error(), "line 2 is not UTF-8") {
		t.Errorf("Windows-1254: %v", err)
	}
}

func TestQuotesThatTheEnvironmentKeeps(t *testing.T) {
	c := load(t, "PORT", `"8080"`, "TELEGRAM_CHAT_ID", "", "ADMIN_PASSWORD", `'correct horse battery'`, "BRAND_NAME", `"Çiçekçi"`, "SECRET_KEY", `"`+key32+`"`)
	if c.Port != 8080 || c.AdminPassword != "correct horse battery" || c.Brand.Name != "Çiçekçi" || c.SecretKeys[0] != `"`+key32+`"` {
		t.Errorf("%+v", c)
	}
	if len(c.Warnings) != 4 || !strings.Contains(strings.Join(c.Warnings, "\n"), "docker --env-file") || strings.Contains(strings.Join(c.Warnings, "\n"), "horse") {
		t.Errorf("warnings %q", c.Warnings)
	}
	if c := load(t, "ADMIN_PASSWORD", `"begins with a quote`, "BRAND_NAME", `"A" & "B"x`); c.AdminPassword != `"begins with a quote` || len(c.Warnings) != 0 {
		t.Errorf("%q, %q", c.AdminPassword, c.Warnings)
	}
	if _, err := Load(t.TempDir(), env("DATABASE_URL", "sqlite://data/chat.db?mode=ro")); err == nil || !strings.Contains(err.Error(), `"?mode"`) {
		t.Errorf("a parameter of sqlite://: %v", err)
	}
}
