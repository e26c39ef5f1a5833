// Package encryption encrypts the texts that people write, and hashes with a key what encrypted rows are found by.
package encryption

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fernet/fernet-go"
)

// Shown instead of a text that no key decrypts.
const (
	// Unreadable means that its key is missing in SECRET_KEY.
	Unreadable = "⚠ Bu mesajın şifresi çözülemiyor · This message cannot be decrypted"
	// Damaged means that no key is missing, or that the stored value is not an encrypted text at all.
	Damaged = "⚠ Bu mesaj bozulmuş, okunamıyor · This message is damaged and cannot be read"
)

// textPurpose is the HKDF info of the text keys. Changing it would make all stored texts unreadable.
const textPurpose = "sohbet message text"

// namePurpose is the HKDF info of the keys' names.
const namePurpose = "sohbet key name"

// unreadableLogged is the maximum number of unreadable rows in the log; a lost key would flood it.
const unreadableLogged = 100

// Cipher encrypts user-written texts: messages, the previews stored on threads, and others. A stored text is a Fernet token
// (github.com/fernet/spec), which Python's cryptography.fernet reads too. Its key is derived from a secret by HKDF-SHA256 (RFC 5869)
// without salt, with the info "sohbet message text": 32 bytes, 16 for signing and 16 for encryption, as Fernet specifies. An empty text
// is stored empty.
type Cipher struct {
	keys     []*fernet.Key // the first encrypts, all of them decrypt
	names    []string      // of the keys
	log      *slog.Logger
	complete atomic.Bool // the keys are all those that texts were encrypted with

	mu       sync.Mutex
	reported map[any]struct{} // by message id or column
}

// NewCipher derives one key from each secret: the first encrypts, all of them decrypt.
func NewCipher(secrets []string, log *slog.Logger) (*Cipher, error) {
	if len(secrets) == 0 {
		return nil, errors.New("models: no secret key to encrypt messages with")
	}
	c := &Cipher{log: log, reported: make(map[any]struct{})}
	for _, secret := range secrets {
		raw, err := hkdf.Key(sha256.New, []byte(secret), nil, textPurpose, len(fernet.Key{}))
		if err != nil {
			return nil, fmt.Errorf("models: derive the text key: %w", err)
		}
		key := fernet.Key(raw)
		name, err := hkdf.Key(sha256.New, []byte(secret), nil, namePurpose, 8)
		if err != nil {
			return nil, fmt.Errorf("models: derive the name of a key: %w", err)
		}
		c.keys, c.names = append(c.keys, &key), append(c.names, hex.EncodeToString(name))
	}
	return c, nil
}

// Names returns a name for each key, in their order, by which its user recognizes it and which does not reveal it.
func (c *Cipher) Names() []string { return c.names }

// SetComplete records whether the keys are known to be all those that texts were encrypted with: a text that none of them decrypts is
// then reported as damaged.
func (c *Cipher) SetComplete(complete bool) { c.complete.Store(complete) }

// Seal encrypts a text.
func (c *Cipher) Seal(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return c.SealWith(0, text)
}

// SealWith encrypts a text with one of the keys.
func (c *Cipher) SealWith(key int, text string) (string, error) {
	token, err := fernet.EncryptAndSign([]byte(text), c.keys[key])
	if err != nil {
		return "", fmt.Errorf("models: encrypt a text: %w", err)
	}
	return string(token), nil
}

// Open returns the text of a token, or false if no key decrypts it.
func (c *Cipher) Open(token string) (text string, ok bool) { return open(c.keys, token) }

// KeyOf returns the index of the key that decrypts a token, or -1.
func (c *Cipher) KeyOf(token string) int {
	return slices.IndexFunc(c.keys, func(key *fernet.Key) bool { _, ok := open([]*fernet.Key{key}, token); return ok })
}

// WellFormed reports whether a stored text has the form of a token, regardless of its key.
func WellFormed(token string) bool {
	const overhead = 1 + 8 + 16 + sha256.Size // version, time, initialization vector, signature
	raw, err := base64.URLEncoding.DecodeString(token)
	return err == nil && len(raw) > overhead && raw[0] == 0x80 && (len(raw)-overhead)%16 == 0
}

func open(keys []*fernet.Key, token string) (text string, ok bool) {
	if token == "" {
		return "", true
	}
	plain := fernet.VerifyAndDecrypt([]byte(token), 0, keys) // 0: no maximum age
	return string(plain), plain != nil
}

// Text returns the text of a token, or Unreadable or Damaged, which is logged once per message unless messageID is 0.
func (c *Cipher) Text(token string, messageID int64) string {
	text, ok := c.Open(token)
	if ok {
		return text
	}
	if messageID == 0 {
		return c.instead(token)
	}
	return c.report(token, "message", "message_id", messageID)
}

// Field is like Text for a value that is not a message's; it is logged once per column.
func (c *Cipher) Field(token, column string) string {
	text, ok := c.Open(token)
	if ok {
		return text
	}
	return c.report(token, "text", "column", column)
}

// Reseal returns a token encrypted with the first key: the same one if it already is. If no key decrypts the token, ok is false, and it
// is logged as by Text.
func (c *Cipher) Reseal(token string, messageID int64) (fresh string, ok bool, err error) {
	if _, current := open(c.keys[:1], token); current {
		return token, true, nil
	}
	text, ok := open(c.keys[1:], token)
	if !ok {
		c.Text(token, messageID)
		return token, false, nil
	}
	fresh, err = c.Seal(text)
	return fresh, true, err
}

// instead returns what is shown instead of a token that no key decrypts.
func (c *Cipher) instead(token string) string {
	if c.complete.Load() || !WellFormed(token) {
		return Damaged
	}
	return Unreadable
}

// report logs once that the text with an id cannot be decrypted, and returns what is shown instead.
func (c *Cipher) report(token, what, name string, id any) string {
	shown := c.instead(token)
	c.mu.Lock()
	_, known := c.reported[id]
	count := len(c.reported)
	if !known && count <= unreadableLogged {
		c.reported[id] = struct{}{}
	}
	c.mu.Unlock()
	switch {
	case known || count > unreadableLogged:
	case count == unreadableLogged:
		c.log.Error("too many texts cannot be decrypted; further ones are not logged")
	case shown == Damaged:
		c.log.Error("a stored "+what+" is damaged: its row was changed outside of Sohbet or by a failing disk; a backup may have it", name, id)
	default:
		c.log.Error("a "+what+" cannot be decrypted: no key in SECRET_KEY decrypts it", name, id)
	}
	return shown
}
