package cluster

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"

	"github.com/google/uuid"
)

// names are what things are called in Redis. Nothing there, and so nothing in its logs, tells a thread's id or an address; and
// the processes of two databases can share one Redis without hearing each other.
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

// channel is where publications to a room go.
func (n *names) channel(room string) string { return n.prefix + "r" + string(n.hash(n.mac, room)) }

// all is where what concerns every process goes.
func (n *names) all() string { return n.prefix + "all" }

// processes is the sorted set of the processes that live, by the second of their last beat.
func (n *names) processes() string { return n.prefix + "processes" }

// visitors is the beginning of the name of the set of the visitors at one process.
func (n *names) visitors() string { return n.prefix + "visitors:" }

// limit is where the spending of one key of a limiter is kept.
func (n *names) limit(limiter, key string) string {
	return n.prefix + "l" + string(n.hash(n.mac, limiter+"\n"+key))
}

// thread hides a thread's id: one block of AES, as a UUID is just that long. false for what is no UUID.
func (n *names) thread(id string) (string, bool) {
	u, err := uuid.Parse(id)
	if err != nil {
		return "", false
	}
	n.block.Encrypt(u[:], u[:])
	return string(u[:]), true
}

// id is the thread that a hidden name stands for.
func (n *names) id(hidden string) (string, bool) {
	if len(hidden) != aes.BlockSize {
		return "", false
	}
	var u uuid.UUID
	n.block.Decrypt(u[:], []byte(hidden))
	return u.String(), true
}
