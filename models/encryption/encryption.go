// Package encryption encrypts the texts that people write, and hashes with a key what encrypted rows are found by.
package encryption

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/fernet/fernet-go"
)

// Unreadable is shown instead of a text that no key decrypts: its key was removed from SECRET_KEY, or the row is damaged.
const Unreadable = "⚠ Bu mesajın şifresi çözülemiyor · This message cannot be decrypted"

// textPurpose is the HKDF info of the text keys. Changing it would make all stored texts unreadable.
const textPurpose = "sohbet message text"

// unreadableLogged is the maximum number of unreadable rows in the log; a lost key would flood it.
const unreadableLogged = 100

// Cipher encrypts user-written texts: messages, the previews stored on threads, and others. A stored text is a Fernet token
// (github.com/fernet/spec), which Python's cryptography.fernet reads too. Its key is derived from a secret by HKDF-SHA256 (RFC 5869)
// without salt, with the info "sohbet message text": 32 bytes, 16 for signing and 16 for encryption, as Fernet specifies. An empty text
// is stored empty.
type Cipher struct {
	keys []*fernet.Key // the first encrypts, all of them decrypt
	log  *slog.Logger

	mu       sync.Mutex
	reported map[int64]struct{} // by message id
}

// NewCipher derives one key from each secret: the first encrypts, all of them decrypt.
func NewCipher(secrets []string, log *slog.Logger) (*Cipher, error) {
	if len(secrets) == 0 {
		return nil, errors.New("models: no secret key to encrypt messages with")
	}
	c := &Cipher{log: log, reported: make(map[int64]struct{})}
	for _, secret := range secrets {
		raw, err := hkdf.Key(sha256.New, []byte(secret), nil, textPurpose, len(fernet.Key{}))
		if err != nil {
			return nil, fmt.Errorf("models: derive the text key: %w", err)
		}
		key := fernet.Key(raw)
		c.keys = append(c.keys, &key)
	}
	return c, nil
}

// Seal encrypts a text.
func (c *Cipher) Seal(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	token, err := fernet.EncryptAndSign([]byte(text), c.keys[0])
	if err != nil {
		return "", fmt.Errorf("models: encrypt a text: %w", err)
	}
	return string(token), nil
}

// Open returns the text of a token, or false if no key decrypts it.
func (c *Cipher) Open(token string) (text string, ok bool) { return open(c.keys, token) }

func open(keys []*fernet.Key, token string) (text string, ok bool) {
	if token == "" {
		return "", true
	}
	plain := fernet.VerifyAndDecrypt([]byte(token), 0, keys) // 0: no maximum age
	return string(plain), plain != nil
}

// Text returns the text of a token, or Unreadable, which is logged once per message unless messageID is 0.
func (c *Cipher) Text(token string, messageID int64) string {
	text, ok := c.Open(token)
	if ok {
		return text
	}
	c.report(messageID)
	return Unreadable
}

// Reseal returns a token encrypted with the first key: the same one if it already is. If no key decrypts the token, ok is false, and it
// is logged as by Text.
func (c *Cipher) Reseal(token string, messageID int64) (fresh string, ok bool, err error) {
	if _, current := open(c.keys[:1], token); current {
		return token, true, nil
	}
	text, ok := open(c.keys[1:], token)
	if !ok {
		c.report(messageID)
		return token, false, nil
	}
	fresh, err = c.Seal(text)
	return fresh, true, err
}

// report logs an unreadable message once; it does nothing for id 0.
func (c *Cipher) report(id int64) {
	if id == 0 {
		return
	}
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
		c.log.Error("too many messages cannot be decrypted; further ones are not logged")
	default:
		c.log.Error("a message cannot be decrypted: no key in SECRET_KEY decrypts it", "message_id", id)
	}
}
