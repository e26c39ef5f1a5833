package encryption

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Hasher computes keyed hashes by which encrypted or deliberately unstored values are found again: without the key the database does
// not reveal values from a small space, such as addresses.
type Hasher struct{ keys [][]byte } // one per secret: new hashes use the first key, lookups match any of them

// NewHasher derives the keys for one purpose (HKDF-SHA256, RFC 5869). The purpose of existing hashes must never change.
func NewHasher(secrets []string, purpose string) (*Hasher, error) {
	h := &Hasher{}
	for _, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, 32)
		if err != nil {
			return nil, fmt.Errorf("models: derive the key of %s: %w", purpose, err)
		}
		h.keys = append(h.keys, key)
	}
	return h, nil
}

// Hash returns the keyed hash to store for a text; "" for an empty text.
func (h *Hasher) Hash(text string) string {
	if text == "" {
		return ""
	}
	return hash(h.keys[0], text)
}

// All returns the hash of a text under each key, in the order of the keys.
func (h *Hasher) All(text string) []string {
	all := make([]string, len(h.keys))
	for i, key := range h.keys {
		all[i] = hash(key, text)
	}
	return all
}

// hash is HMAC-SHA256, truncated to 128 bits.
func hash(key []byte, text string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil)[:16])
}
