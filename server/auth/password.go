package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/alexedwards/argon2id"
)

// Password is the agent's name and password.
type Password struct {
	name   []byte // HMAC under a key of this process, so that comparing takes the same time whatever the length
	plain  []byte // likewise; nil when hash is set
	hash   string // argon2id in PHC form
	key    []byte
	active chan struct{} // argon2id takes tens of megabytes: two at a time
}

// NewPassword takes the settings' values; secret may be plain text or an argon2id hash, "" for none.
func NewPassword(username, secret string) *Password {
	p := &Password{key: []byte(rand.Text()), active: make(chan struct{}, 2)}
	p.name = mac(p.key, username)
	switch {
	case strings.HasPrefix(secret, "$argon2id$"):
		p.hash = secret
	case secret != "":
		p.plain = mac(p.key, secret)
	}
	return p
}

// Set reports whether a password is demanded.
func (p *Password) Set() bool { return p.plain != nil || p.hash != "" }

// Check compares name and password in constant time. Both are always compared, so that the time tells neither.
func (p *Password) Check(ctx context.Context, username, password string) (bool, error) {
	nameOK := hmac.Equal(mac(p.key, username), p.name)
	if p.hash == "" {
		return p.plain != nil && hmac.Equal(mac(p.key, password), p.plain) && nameOK, nil
	}
	select {
	case p.active <- struct{}{}:
		defer func() { <-p.active }()
	case <-ctx.Done():
		return false, fmt.Errorf("password check: %w", ctx.Err())
	}
	ok, err := argon2id.ComparePasswordAndHash(password, p.hash)
	if err != nil {
		return false, fmt.Errorf("password check: %w", err)
	}
	return ok && nameOK, nil
}
