package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"sohbet/models"
	"sohbet/models/storetest"
)

// folder makes a data folder with a seeded database in it and points the settings there.
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
	t.Chdir(t.TempDir()) // no config.env here
	t.Setenv("DATA_DIR", dir)
	t.Setenv("DATABASE_URL", "")
	t.Setenv("SECRET_KEY", key)
	return dir, o
}

func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, log bytes.Buffer
	err := run(args, &out, &log)
	return out.String(), err
}

func TestRekeyCommand(t *testing.T) {
	const next = "another secret of 32 characters !"
	_, o := folder(t, testKey, "one", "two")
	t.Setenv("SECRET_KEY", next+","+testKey)
	out, err := command(t, "rekey")
	if err != nil || !strings.HasPrefix(out, "3 texts checked, 3 encrypted anew with the first of 2 keys, 0 that") {
		t.Fatalf("%q, %v", out, err)
	}
	o.Keys = []string{next}
	list, _, err := storetest.Reopen(t, o).Messages(t.Context(), threadA, models.MessageQuery{})
	if err != nil || len(list) != 2 || list[1].ContentText != "two" {
		t.Errorf("%+v, %v", list, err)
	}
}
