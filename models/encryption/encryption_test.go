package encryption

import (
	"log/slog"
	"testing"

	"github.com/fernet/fernet-go"
)

// The example of the Fernet specification, generate.json of github.com/fernet/spec.
func TestTokensAreFernet(t *testing.T) {
	key, err := fernet.DecodeKey("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
	if err != nil {
		t.Fatal(err)
	}
	const token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
	if got, ok := open([]*fernet.Key{key}, token); !ok || got != "hello" {
		t.Fatalf("%q, %v", got, ok)
	}
	if got, ok := open([]*fernet.Key{key}, token[:len(token)-8]+"AAAAAA=="); ok {
		t.Fatalf("a forged token gave %q", got)
	}
}

// Generated with Python: HKDF(SHA256, 32, salt=None, info=b"sohbet message text") of the secret as the key of
// cryptography.fernet.Fernet. If this test fails, existing installations can no longer decrypt their data.
func TestDerivationIsFixed(t *testing.T) {
	const secret, token, text = "0123456789abcdef0123456789abcdef", "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD2fqfirU3D2PXlAIpHAefrWzIEx_uzateVP_9UGbMFbKv91pkW4rIVCXu5tdu8tQW8GW6LOsai3YwYA3i1ptK4U=", "Merhaba, sipariş nerede?"
	c, err := NewCipher([]string{secret}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	key := c.keys[0]
	if got := key.Encode(); got != "9izlzGUVUtSUJJKq8HCeNlcvyT2VCRtT02GvJTpqLsk=" {
		t.Errorf("key %s", got)
	}
	if got, ok := open([]*fernet.Key{key}, token); !ok || got != text {
		t.Errorf("%q, %v", got, ok)
	}
}

func TestReseal(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	cipher := func(secrets ...string) *Cipher {
		c, err := NewCipher(secrets, log)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	token, err := cipher("old").Seal("hello")
	if err != nil {
		t.Fatal(err)
	}
	fresh, ok, err := cipher("new", "old").Reseal(token, 0)
	if text, current := cipher("new").Open(fresh); err != nil || !ok || !current || text != "hello" {
		t.Errorf("%q, %v, %v, %v", text, ok, current, err)
	}
	if again, ok, err := cipher("new", "old").Reseal(fresh, 0); err != nil || !ok || again != fresh {
		t.Errorf("a current token was changed: %v, %v", ok, err)
	}
	if kept, ok, err := cipher("new").Reseal(token, 0); err != nil || ok || kept != token {
		t.Errorf("a token that no key decrypts: %v, %v", ok, err)
	}
}

// If this test fails, existing address blocks and e-mail searches no longer find their rows.
func TestHashesAreFixed(t *testing.T) {
	h, err := NewHasher([]string{"0123456789abcdef0123456789abcdef", "another"}, "sohbet email")
	if err != nil {
		t.Fatal(err)
	}
	const want = "b3dc495c856b17c19d7c7edecc9da447"
	if all := h.All("ada@example.com"); h.Hash("ada@example.com") != want || len(all) != 2 || all[0] != want || all[1] == want {
		t.Errorf("hashes %q", all)
	}
	if h.Hash("") != "" {
		t.Error("an empty text has a hash")
	}
}
