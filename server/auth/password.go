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

// passwordParams is what a password from the settings is hashed with: OWASP's second choice, 19 MiB and two passes, about
// 30 ms of one core (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
var passwordParams = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// How the work of checking passwords is shared out. One check of a browser that signed in before and one of a stranger run at a
// time, so strangers cannot keep known browsers waiting. Among strangers, an address that tried little that day comes before
// those that tried more, which share a budget: so many tries from the same addresses do not keep a new one out. What tries from
// ever new addresses can do is bounded by the CPU alone (see [checkQueue]): those wait in one queue with the owner's new browser.
const (
	preferredTries = 3  // of one address in 24 hours
	furtherTries   = 60 // of all addresses that had those, in one minute
)

// Password is the agent's name and password. It is kept as an argon2id hash alone.
type Password struct {
	name             []byte // HMAC under a key of this process, so that comparing takes the same time whatever the length
	key              []byte
	hash             string // argon2id in PHC form, "" for no password
	strangers, known *checkQueue
	first, further   *Limiter
}

// NewPassword takes the settings' values; secret may be plain text or an argon2id hash, "" for none.
func NewPassword(username, secret string, now func() time.Time) (*Password, error) {
	p := &Password{
		key: []byte(rand.Text()), strangers: newCheckQueue(true), known: newCheckQueue(false),
		first: NewLimiter(preferredTries, 24*time.Hour, now), further: NewLimiter(furtherTries, time.Minute, now),
	}
	p.name = mac(p.key, username)
	p.hash = secret
	if secret != "" && !strings.HasPrefix(secret, "$argon2id$") {
		var err error
		if p.hash, err = argon2id.CreateHash(secret, passwordParams); err != nil {
			return nil, fmt.Errorf("hash the password: %w", err)
		}
	}
	return p, nil
}

// Set reports whether a password is demanded.
func (p *Password) Set() bool { return p.hash != "" }

// Check compares name and password, both always, so that the time tells neither. known names a browser that signed in before
// (see [Known.ID]), "" for all others; address is the [AddressKey] of the caller. The error is [Limited] when nothing was
// compared because too many are being checked.
func (p *Password) Check(ctx context.Context, username, password, known, address string) (right bool, err error) {
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
	if known != "" {
		err = p.known.run(ctx, known, true, check)
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
