// Package auth authenticates clients: session cookies, one-time codes, the agent's password, rate limits, and client addresses and
// origins.
package auth

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Keys derives one key per purpose from each secret of SECRET_KEY by HKDF-SHA256 (RFC 5869), so that a value signed for one purpose is
// invalid for another. The first secret signs, all of them verify.
type Keys struct{ secrets []string }

// NewKeys takes the secrets, newest first; at least one, each of at least 32 characters (checked by package config).
func NewKeys(secrets []string) (*Keys, error) {
	if len(secrets) == 0 {
		return nil, errors.New("auth: no secret key")
	}
	return &Keys{secrets: secrets}, nil
}

// derive returns a 32-byte key for the purpose from each secret.
func (k *Keys) derive(purpose string) [][]byte {
	keys := make([][]byte, 0, len(k.secrets))
	for _, secret := range k.secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "sohbet "+purpose, 32)
		if err != nil { // only for lengths over 255 times the hash size
			panic(fmt.Sprintf("auth: derive key: %v", err))
		}
		keys = append(keys, key)
	}
	return keys
}

// DoctorTokens returns the bearer tokens, one per secret, with which `sohbet doctor` reads the details of /health.
func (k *Keys) DoctorTokens() []string {
	var tokens []string
	for _, key := range k.derive("doctor token") {
		tokens = append(tokens, hex.EncodeToString(key))
	}
	return tokens
}
