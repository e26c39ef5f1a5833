package media_test

import (
	"os"
	"path/filepath"
	"testing"

	_ "golang.org/x/image/webp" // for image.Decode
)

func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
