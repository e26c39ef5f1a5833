package app

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sohbet/bench/process"
	"sohbet/models"
	"sohbet/models/storetest"
)

// releaseFolder makes a folder with the files of a release that deploy/install.sh needs. Bytes appended to the binary make another version.
func releaseFolder(t *testing.T, appended string) string {
	t.Helper()
	dir := t.TempDir()
	sums := ""
	for name, source := range map[string]string{
		"sohbet-linux-" + runtime.GOARCH: process.Binary(t), "sohbet.service": "../../deploy/sohbet.service", "install.sh": "../../deploy/install.sh",
	} {
		content := read(t, source)
		if strings.HasPrefix(name, "sohbet-") {
			content = append(content, appended...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o700); err != nil {
			t.Fatal(err)
		}
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name)
	}
	if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// runInstaller runs the script of a release below a folder that stands for the root of a machine.
func runInstaller(t *testing.T, release, root string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(release, "install.sh"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "DESTDIR=" + root}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestInstallScript(t *testing.T) {
	root, first, second := t.TempDir(), releaseFolder(t, ""), releaseFolder(t, "2")
	name := "sohbet-linux-" + runtime.GOARCH
	installed, settings := filepath.Join(root, "usr/local/bin/sohbet"), filepath.Join(root, "etc/sohbet/config.env")
	data, backups := filepath.Join(root, "var/lib/sohbet"), filepath.Join(root, "var/backups/sohbet")

	if out, err := runInstaller(t, first, root); err != nil || !strings.Contains(out, "installed sohbet ") {
		t.Fatalf("%v: %s", err, out)
	}
	for path, mode := range map[string]os.FileMode{installed: 0o755, settings: 0o600, filepath.Join(root, "usr/local/lib/systemd/system/sohbet.service"): 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if given := string(read(t, settings)); !strings.Contains(given, "\nHOST=127.0.0.1\nTRUSTED_PROXIES=127.0.0.1,::1\n") || !strings.Contains(given, "#ADMIN_PASSWORD=") {
		t.Errorf("settings: %s", given)
	}
	if out, err := runInstaller(t, first, root); err != nil || !strings.HasPrefix(out, "this version is installed already") {
		t.Errorf("once more: %v: %s", err, out)
	}

	// An upgrade while a conversation goes on.
	own := append(read(t, settings), "BRAND_NAME=Çay\n"...)
	if err := os.WriteFile(settings, own, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, Process: process.Start(t, data)}
	ali := s.visit("Ali")
	ali.say("merhaba")
	ali.emit("rejoin", map[string]string{"thread_id": ali.thread}) // acknowledged after the message, because events are handled in order
	out, err := runInstaller(t, second, root)
	if err != nil || !strings.Contains(out, "backing up to") {
		t.Fatalf("upgrade: %v: %s", err, out)
	}
	for path, want := range map[string][]byte{installed: read(t, filepath.Join(second, name)), filepath.Join(backups, "sohbet"): read(t, filepath.Join(first, name)), settings: own} {
		if !bytes.Equal(read(t, path), want) {
			t.Errorf("%s is not what it should be after the upgrade", path)
		}
	}
	s.Stop()
	key := strings.TrimSpace(string(read(t, filepath.Join(data, "secret.key"))))
	restored := t.TempDir()
	env := []string{"DATA_DIR=" + restored, "SECRET_KEY=" + key}
	if code, said := process.Run(t, restored, env, "restore", filepath.Join(backups, "before-upgrade.sohbet")); code != 0 {
		t.Fatalf("restore: %s", said)
	}
	for _, dir := range []string{data, restored} {
		store := storetest.Reopen(t, models.Options{URL: "sqlite://" + filepath.Join(dir, "chat.db"), Keys: []string{key}})
		list, _, err := store.Messages(t.Context(), ali.thread, models.MessageQuery{})
		if err != nil || len(list) != 1 || list[0].ContentText != "merhaba" {
			t.Errorf("%s: %+v, %v", dir, list, err)
		}
	}
}

// TestInstallScriptChangesNothingWhenItFails installs once, and then what must be refused.
func TestInstallScriptChangesNothingWhenItFails(t *testing.T) {
	root, next := t.TempDir(), releaseFolder(t, "2")
	if out, err := runInstaller(t, releaseFolder(t, ""), root); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	name := "sohbet-linux-" + runtime.GOARCH
	installed, settings := filepath.Join(root, "usr/local/bin/sohbet"), filepath.Join(root, "etc/sohbet/config.env")
	before := read(t, installed)
	sums := filepath.Join(next, "SHA256SUMS")
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	complete := string(read(t, sums))
	for _, tc := range []struct {
		change func()
		want   string
	}{
		{func() { write(settings, "DATABASE_URL=postgres://u:p@127.0.0.1:1/x\n") }, "the backup failed, so nothing was changed"},
		{func() { write(sums, strings.ReplaceAll(complete, name, name+"-other")) }, "SHA256SUMS does not name " + name},
		{func() { write(sums, complete); write(filepath.Join(next, name), "another program") }, name + " is not the file that SHA256SUMS describes"},
		{func() { write(sums, "") }, "SHA256SUMS does not name"},
		{func() {
			if err := os.Remove(sums); err != nil {
				t.Fatal(err)
			}
		}, "SHA256SUMS is not in " + next},
	} {
		tc.change()
		if out, err := runInstaller(t, next, root); err == nil || !strings.Contains(out, tc.want) {
			t.Errorf("want %q: %v: %s", tc.want, err, out)
		}
		if !bytes.Equal(read(t, installed), before) {
			t.Fatalf("%q, and the binary was replaced", tc.want)
		}
	}
}
