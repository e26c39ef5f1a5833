package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"
)

// passwordParams are the argon2id parameters for a plain-text password: OWASP's second recommendation, 19 MiB and two passes, about 30 ms
// on one core (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
var passwordParams = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashPrefix begins every argon2id hash.
const hashPrefix = "$argon2id$"

// How CPU time for password checks is distributed. At most one check for known browsers and one for unknown ones run at a time, so
// attackers cannot delay known browsers. Among unknown browsers, addresses with few attempts that day go before those with more, which
// share a rate limit: many attempts from the same addresses do not block a new one. Attempts from always new addresses are limited only
// by the queue (see [checkQueue]), in which the owner's new browser waits too, and by accountTries for accounts without a second step.
const (
	preferredTries = 3   // per address in 24 hours
	furtherTries   = 60  // of all addresses beyond that, per minute
	accountTries   = 100 // of unknown browsers per account in 24 hours
)

// Passwords checks the passwords of agents, of which there are only argon2id hashes.
type Passwords struct {
	params                   *argon2id.Params
	decoy                    string // compared with where there is no hash
	strangers, trusted       *checkQueue
	first, further, accounts *Limiter
}

// NewPasswords returns Passwords that makes hashes with the parameters of an existing one, or if that is "" with its own.
func NewPasswords(like string, now func() time.Time) (*Passwords, error) {
	params := passwordParams
	if like != "" {
		var err error
		if params, _, _, err = argon2id.DecodeHash(like); err != nil {
			return nil, fmt.Errorf("password hash: %w", err)
		}
	}
	return &Passwords{
		params: params, decoy: decoyHash(params), strangers: newCheckQueue(true), trusted: newCheckQueue(false),
		first: NewLimiter(preferredTries, 24*time.Hour, now), further: NewLimiter(furtherTries, time.Minute, now),
		accounts: NewLimiter(accountTries, 24*time.Hour, now),
	}, nil
}

// decoyHash returns a hash of no known password, which takes as long to compare with as others of these parameters.
func decoyHash(p *argon2id.Params) string {
	random := func(n uint32) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails
		return base64.RawStdEncoding.EncodeToString(b)
	}
	return fmt.Sprintf("%sv=19$m=%d,t=%d,p=%d$%s$%s", hashPrefix, p.Memory, p.Iterations, p.Parallelism, random(p.SaltLength), random(p.KeyLength))
}

// HashPassword returns the argon2id hash of a password from the settings, which may be such a hash already; "" for no password.
func HashPassword(secret string) (string, error) {
	if secret == "" || strings.HasPrefix(secret, hashPrefix) {
		return secret, nil
	}
	return hashWith(passwordParams, secret)
}

func hashWith(params *argon2id.Params, secret string) (string, error) {
	hash, err := argon2id.CreateHash(secret, params)
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

// Hash returns the argon2id hash of an agent's password.
func (p *Passwords) Hash(secret string) (string, error) { return hashWith(p.params, secret) }

// Attempt is a password that someone entered.
type Attempt struct {
	Password string
	Hash     string // of the agent whose name was entered; "" if there is none, or the agent has no password
	Account  string // under which attempts of unknown browsers are counted; "" = not counted
	Browser  string // identifies a browser that signed in before (see [TrustedBrowsers.ID]), "" for others
	Address  string // the client's [AddressKey]
}

// Check reports whether the password is right. It always compares, so that the duration does not reveal whether there is such an agent.
// The error is [Limited] if nothing was compared because there are too many checks.
func (p *Passwords) Check(ctx context.Context, a Attempt) (right bool, err error) {
	hash, known := a.Hash, strings.HasPrefix(a.Hash, hashPrefix)
	if !known {
		hash = p.decoy
	}
	check := func() error {
		same, err := argon2id.ComparePasswordAndHash(a.Password, hash)
		if err != nil {
			return fmt.Errorf("password check: %w", err)
		}
		right = same && known
		return nil
	}
	if a.Browser != "" {
		err = p.trusted.run(ctx, a.Browser, true, check)
		return right, err
	}
	if a.Account != "" {
		if ok, wait := p.accounts.Allow(a.Account); !ok {
			return false, Limited{RetryAfter: wait}
		}
		defer func() {
			if err != nil || right {
				p.accounts.Return(a.Account)
			}
		}()
	}
	budget, key := p.first, a.Address
	preferred, _ := budget.Allow(key)
	if !preferred {
		budget, key = p.further, ""
		if ok, wait := budget.Allow(key); !ok {
			return false, Limited{RetryAfter: wait}
		}
	}
	err = p.strangers.run(ctx, a.Address, preferred, check)
	if err != nil || right {
		budget.Return(key)
	}
	return right, err
}
