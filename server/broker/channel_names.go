package broker

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/google/uuid"
)

// names computes channel and key names in Redis. They reveal no thread ids or addresses to Redis or its logs, and processes of two
// databases can share one Redis without interfering.
type names struct {
	prefix string
	mac    []byte
	block  cipher.Block
}

func newNames(family [32]byte) (*names, error) {
	n := &names{}
	n.prefix = "sohbet:" + string(n.hash(family[:], "prefix")) + ":"
	n.mac = n.hash(family[:], "names")
	block, err := aes.NewCipher(n.hash(family[:], "threads"))
	n.block = block
	return n, err
}

func (n *names) hash(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)[:16]
}

// all returns the channel of everything that processes publish.
func (n *names) all() string { return n.prefix + "all" }

// processes returns the key of the sorted set of live processes, scored by the second of their last heartbeat.
func (n *names) processes() string { return n.prefix + "processes" }

// version returns the key of the number of the last change of presence.
func (n *names) version() string { return n.prefix + "presence" }

// visitors returns the prefix of the keys of the sets of visitors connected to each process.
func (n *names) visitors() string { return n.prefix + "visitors:" }

// limit returns the key for the state of one key of a limiter.
func (n *names) limit(limiter, key string) string {
	return n.prefix + "l" + string(n.hash(n.mac, limiter+"\n"+key))
}

// thread encrypts a thread's id as one block of AES, which has the length of a UUID. ok is false if the id is not a UUID.
func (n *names) thread(id string) (string, bool) {
	u, err := uuid.Parse(id)
	if err != nil {
		return "", false
	}
	n.block.Encrypt(u[:], u[:])
	return string(u[:]), true
}

// id decrypts a thread's id.
func (n *names) id(hidden string) (string, bool) {
	if len(hidden) != aes.BlockSize {
		return "", false
	}
	var u uuid.UUID
	n.block.Decrypt(u[:], []byte(hidden))
	return u.String(), true
}
