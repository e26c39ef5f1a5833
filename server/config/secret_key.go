package config

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	minSecret   = 32 // characters; 32 hex digits are 128 bits
	secretFile  = "secret.key"
	argonPrefix = "$argon2id$"
)

// Prepare creates the data folder and, if SECRET_KEY is unset, reads or generates the key stored there with mode 0600. created reports
// whether a key was generated.
func (c *Config) Prepare() (created bool, err error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return false, fmt.Errorf("DATA_DIR holds %q: the folder cannot be created: %w", c.DataDir, err)
	}
	if len(c.SecretKeys) > 0 {
		return false, nil
	}
	path := filepath.Join(c.DataDir, secretFile)
	key, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if created, err = makeSecret(path); err == nil {
			key, err = readSecret(path)
		}
	}
	if err != nil {
		return false, err
	}
	c.SecretKeys = key
	return created, nil
}

func readSecret(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("secret key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 { // the key file was copied or restored with broad permissions: other users could read it and forge sessions
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("secret key: others may read it and that cannot be changed: %w", err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("secret key: %w", err)
	}
	keys, err := parseSecrets(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s holds a broken key: %w; put the old key back: without it the stored messages cannot be read", path, err)
	}
	return keys, nil
}

// makeSecret generates a key and writes it durably. The file gets its name only once it is complete. If two processes start at once,
// the first one's key is used; created is false for the other.
func makeSecret(path string) (created bool, err error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return false, fmt.Errorf("secret key: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".sohbet-secret-*") // CreateTemp uses mode 0600
	if err != nil {
		return false, fmt.Errorf("secret key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return false, fmt.Errorf("secret key: %w", err)
	}
	err = os.Link(f.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil { // a file system without hard links
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return false, fmt.Errorf("secret key: %w", err)
	}
	return true, nil
}

// parseSecrets splits a comma-separated list of keys, newest first.
func parseSecrets(value string) ([]string, error) {
	var keys []string
	for key := range strings.SplitSeq(value, ",") {
		key = strings.TrimSpace(key)
		if len(key) < minSecret {
			return nil, fmt.Errorf("each key needs at least %d characters; make one with: openssl rand -hex 32", minSecret)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
