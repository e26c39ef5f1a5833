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

const (
	// strangersPace is how many passwords browsers that never signed in here may have checked in a minute, all together. A
	// check is meant to be slow, so this, not their address, is what keeps them from taking the machine's time.
	strangersPace = 60
	// checksWaiting is how many checks of one kind may wait for the one before them. Each holds tens of megabytes only while
	// it runs, and one of each kind runs at a time.
	checksWaiting = 4
)

// Password is the agent's name and password. It is kept as an argon2id hash alone.
type Password struct {
	name             []byte // HMAC under a key of this process, so that comparing takes the same time whatever the length
	key              []byte
	hash             string // argon2id in PHC form, "" for no password
	strangers, known lane
	pace             *Limiter
}

// lane lets one check at a time through, and a few wait for it.
type lane struct{ running, waiting chan struct{} }

func newLane() lane {
	return lane{running: make(chan struct{}, 1), waiting: make(chan struct{}, 1+checksWaiting)}
}

// NewPassword takes the settings' values; secret may be plain text or an argon2id hash, "" for none.
func NewPassword(username, secret string, now func() time.Time) (*Password, error) {
	p := &Password{key: []byte(rand.Text()), strangers: newLane(), known: newLane(), pace: NewLimiter(strangersPace, time.Minute, now)}
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

// Check compares name and password, both always, so that the time tells neither. known says that the browser signed in before:
// such browsers never wait for strangers. The error is [Limited] when too many are being checked.
func (p *Password) Check(ctx context.Context, username, password string, known bool) (bool, error) {
	if p.hash == "" {
		return false, nil
	}
	l := p.known
	if !known {
		l = p.strangers
		if ok, wait := p.pace.Allow("all"); !ok {
			return false, Limited{RetryAfter: wait}
		}
	}
	select {
	case l.waiting <- struct{}{}:
		defer func() { <-l.waiting }()
	default:
		return false, Limited{RetryAfter: time.Second}
	}
	select {
	case l.running <- struct{}{}:
		defer func() { <-l.running }()
	case <-ctx.Done():
		return false, fmt.Errorf("password check: %w", ctx.Err())
	}
	nameOK := hmac.Equal(mac(p.key, username), p.name)
	ok, err := argon2id.ComparePasswordAndHash(password, p.hash)
	if err != nil {
		return false, fmt.Errorf("password check: %w", err)
	}
	return ok && nameOK, nil
}
