package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"
)

// passwordParams are the argon2id parameters for a plain-text password in the settings: OWASP's second recommendation, 19 MiB and two
// passes, about 30 ms on one core (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
var passwordParams = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashPrefix begins every argon2id hash.
const hashPrefix = "$argon2id$"

// How CPU time for password checks is distributed. At most one check for known browsers and one for unknown ones run at a time, so
// attackers cannot delay known browsers. Among unknown browsers, addresses with few attempts that day go before those with more, which
// share a rate limit: many attempts from the same addresses do not block a new one. Attempts from always new addresses are limited only
// by the queue (see [checkQueue]), in which the owner's new browser waits too.
const (
	preferredTries = 3  // per address in 24 hours
	furtherTries   = 60 // of all addresses beyond that, per minute
)

// Password is the agent's name and password, which is held only as an argon2id hash.
type Password struct {
	name               []byte // HMAC under a key of this process, so that comparing takes constant time regardless of the length
	key                []byte
	hash               string // argon2id in PHC format, "" for no password
	strangers, trusted *checkQueue
	first, further     *Limiter
}

// HashPassword returns the argon2id hash of a password from the settings, which may be such a hash already; "" for no password.
func HashPassword(secret string) (string, error) {
	if secret == "" || strings.HasPrefix(secret, hashPrefix) {
		return secret, nil
	}
	hash, err := argon2id.CreateHash(secret, passwordParams)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	return hash, nil
}

// HashOf reports whether HashPassword of a password from the settings may have returned a hash.
func HashOf(secret, hash string) bool {
	if secret == "" || strings.HasPrefix(secret, hashPrefix) {
		return secret == hash
	}
	same, err := argon2id.ComparePasswordAndHash(secret, hash)
	return same && err == nil
}

// NewPassword returns the password with a hash of [HashPassword].
func NewPassword(username, hash string, now func() time.Time) *Password {
	p := &Password{
		key: []byte(rand.Text()), hash: hash, strangers: newCheckQueue(true), trusted: newCheckQueue(false),
		first: NewLimiter(preferredTries, 24*time.Hour, now), further: NewLimiter(furtherTries, time.Minute, now),
	}
	p.name = mac(p.key, username)
	return p
}

// Set reports whether a password is required.
func (p *Password) Set() bool { return p.hash != "" }

// Check compares name and password, always both, so that the duration does not reveal which is wrong. known identifies a browser that
// signed in before (see [TrustedBrowsers.ID]), "" for others; address is the client's [AddressKey]. The error is [Limited] if nothing was
// compared because there are too many checks.
func (p *Password) Check(ctx context.Context, username, password, browserID, address string) (right bool, err error) {
	if p.hash == "" {
		return false, nil
	}
	check := func() error {
		nameOK := hmac.Equal(mac(p.key, username), p.name)
		ok, err := argon2id.ComparePasswordAndHash(password, p.hash)
		if err != nil {
			return fmt.Errorf("password check: %w", err)
		}
		right = ok && nameOK
		return nil
	}
	if browserID != "" {
		err = p.trusted.run(ctx, browserID, true, check)
		return right, err
	}
	budget, key := p.first, address
	preferred, _ := budget.Allow(key)
	if !preferred {
		budget, key = p.further, ""
		if ok, wait := budget.Allow(key); !ok {
			return false, Limited{RetryAfter: wait}
		}
	}
	err = p.strangers.run(ctx, address, preferred, check)
	if err != nil || right {
		budget.Return(key)
	}
	return right, err
}
