package models

import (
	"crypto/rand"
	"encoding/base32"
)

var handleEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newHandle returns a random username of 80 bits.
func newHandle() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // cannot fail: crypto/rand crashes the program instead
	return "visitor-" + handleEncoding.EncodeToString(b[:])
}
