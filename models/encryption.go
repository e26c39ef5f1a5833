package models

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

// texts encrypts user-written texts: messages, the previews stored on threads, and others. A stored text is a Fernet token
// (github.com/fernet/spec), which Python's cryptography.fernet reads too. Its key is derived from a secret by HKDF-SHA256 (RFC 5869)
// without salt, with the info "sohbet message text": 32 bytes, 16 for signing and 16 for encryption, as Fernet specifies. An empty text
// is stored empty.
type texts struct {
	keys []*fernet.Key // the first encrypts, all of them decrypt
	log  *slog.Logger

	mu       sync.Mutex
	reported map[int64]struct{} // by message id
}

func newTexts(secrets []string, log *slog.Logger) (*texts, error) {
	if len(secrets) == 0 {
		return nil, errors.New("models: no secret key to encrypt messages with")
	}
	t := &texts{log: log, reported: make(map[int64]struct{})}
	for _, secret := range secrets {
		raw, err := hkdf.Key(sha256.New, []byte(secret), nil, textPurpose, len(fernet.Key{}))
		if err != nil {
			return nil, fmt.Errorf("models: derive the text key: %w", err)
		}
		key := fernet.Key(raw)
		t.keys = append(t.keys, &key)
	}
	return t, nil
}

func (t *texts) seal(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	token, err := fernet.EncryptAndSign([]byte(text), t.keys[0])
	if err != nil {
		return "", fmt.Errorf("models: encrypt a text: %w", err)
	}
	return string(token), nil
}

// with decrypts a token with some of the keys.
func with(keys []*fernet.Key, token string) (text string, ok bool) {
	if token == "" {
		return "", true
	}
	plain := fernet.VerifyAndDecrypt([]byte(token), 0, keys) // 0: no maximum age
	return string(plain), plain != nil
}

// open returns the text of a token, or Unreadable. id is the message's, for the log.
func (t *texts) open(token string, id int64) string {
	text, ok := with(t.keys, token)
	if ok {
		return text
	}
	t.report(id)
	return Unreadable
}

// reveal is open without logging.
func (t *texts) reveal(token string) string {
	if text, ok := with(t.keys, token); ok {
		return text
	}
	return Unreadable
}

// report logs an unreadable message once; it does nothing for id 0.
func (t *texts) report(id int64) {
	if id == 0 {
		return
	}
	t.mu.Lock()
	_, known := t.reported[id]
	count := len(t.reported)
	if !known && count <= unreadableLogged {
		t.reported[id] = struct{}{}
	}
	t.mu.Unlock()
	switch {
	case known || count > unreadableLogged:
	case count == unreadableLogged:
		t.log.Error("too many messages cannot be decrypted; further ones are not logged")
	default:
		t.log.Error("a message cannot be decrypted: no key in SECRET_KEY decrypts it", "message_id", id)
	}
}

// seal encrypts a message's text and its preview; a short text and its preview are the same token.
func (m *NewMessage) seal(t *texts) (err error) {
	if m.sealed, err = t.seal(m.ContentText); err != nil {
		return err
	}
	m.preview = m.sealed
	if short := cut(m.ContentText, LastMessageRunes); len(short) < len(m.ContentText) {
		m.preview, err = t.seal(short)
	}
	return err
}

// ready decrypts rows read from the database for the caller.
func (s *Store) ready(list []Message) []Message {
	for i := range list {
		m := &list[i]
		m.CreatedAt = m.CreatedAt.UTC()
		if m.EditedAt != nil {
			at := m.EditedAt.UTC()
			m.EditedAt = &at
		}
		m.ContentText = s.texts.open(m.ContentText, m.ID)
	}
	return list
}

func (s *Store) readyThread(t *Thread) {
	t.toUTC()
	t.openFields(s.texts)
	t.LastMessage = s.texts.open(t.LastMessage, t.LastMessageID)
}

// sealPage encrypts the URL and title of the visitor's page.
func (t *Thread) sealPage(x *texts) (err error) {
	if t.PageURL, err = x.seal(t.PageURL); err != nil {
		return err
	}
	t.PageTitle, err = x.seal(t.PageTitle)
	return err
}

// openFields decrypts the encrypted fields of a thread other than its preview.
func (t *Thread) openFields(x *texts) {
	for _, field := range [...]*string{&t.Email, &t.RatingComment, &t.PageURL, &t.PageTitle} {
		if *field != "" {
			*field = x.open(*field, t.LastMessageID)
		}
	}
}
