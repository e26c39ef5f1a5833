package backup_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sohbet/server/backup"
)

// The error of an archive that cannot be read says what is wrong with it, where, and what to do.
func TestErrorsOfDamagedArchives(t *testing.T) {
	each(t, func(t *testing.T, dialect string) {
		from, to := newPlace(t, dialect), newPlace(t, dialect)
		for i := range 20 {
			say(t, from.Store, "a", fmt.Sprint(i))
		}
		noise := make([]byte, 50_000) // cannot be compressed, so the middle of the archive is inside this file
		if _, err := rand.Read(noise); err != nil {
			t.Fatal(err)
		}
		from.upload(t, "images/noise.png", string(noise))
		file := filepath.Join(t.TempDir(), "b.sohbet")
		if _, err := backup.Write(t.Context(), file, from.Store, from.uploads); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := func(at int) []byte {
			b := bytes.Clone(whole)
			b[at] ^= 0x55
			return b
		}
		const hint = "; copy it again, or use another backup"
		for what, c := range map[string]struct {
			content []byte
			want    string
		}{
			"an empty file":                {nil, `is empty: copy it again, or use another backup$`},
			"a text":                       {[]byte(strings.Repeat("hello ", 100)), `is another kind of file: this is not a Sohbet backup$`},
			"another kind of archive":      {gzipped(t, strings.Repeat("hello ", 1000)), `this is not a Sohbet backup$`},
			"the first 5 bytes":            {whole[:5], `is cut off: it ends at byte 5, inside manifest.json` + hint},
			"a half":                       {whole[:len(whole)-25_000], fmt.Sprintf(`is cut off: it ends at byte %d, inside uploads/images/noise.png`, len(whole)-25_000) + hint},
			"all but the last byte":        {whole[:len(whole)-1], fmt.Sprintf(`is cut off: it ends at byte %d, inside its end`, len(whole)-1) + hint},
			"a changed checksum":           {changed(len(whole) - 6), `is damaged: its checksum is wrong, so bytes of it have changed since it was written` + hint},
			"a changed byte in a picture":  {changed(len(whole) - 25_000), `is damaged(: its checksum is wrong, so bytes of it have changed since it was written| near byte \d+, inside uploads/images/noise.png)` + hint},
			"changed bytes in the middle":  {append(append(bytes.Clone(whole[:300]), bytes.Repeat([]byte{0xff}, 200)...), whole[500:]...), `is damaged near byte \d+, inside (what follows )?(manifest.json|database/\w+(\.db)?)` + hint + `|holds more after its end: it is damaged`}, // what the bytes say may look like an end
			"a changed header of the gzip": {changed(0), `is another kind of file: this is not a Sohbet backup$`},
		} {
			if err := os.WriteFile(file, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := backup.Restore(t.Context(), file, to.Store, to.uploads, backup.Options{})
			if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
				t.Errorf("%s: %v, want %s", what, err, c.want)
			}
			if got := to.files(t); got != "" {
				t.Errorf("%s left %s", what, got)
			}
		}
	})
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
