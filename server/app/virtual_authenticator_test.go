package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"
)

// authenticator is a virtual WebAuthn authenticator (ES256, no attestation) with one credential, and the browser in front of it.
type authenticator struct {
	t          *testing.T
	origin     string
	key        *ecdsa.PrivateKey
	id, handle []byte
	flags      byte // user present 1, user verified 4
	count      uint32
}

func newAuthenticator(t *testing.T, origin string) *authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &authenticator{t: t, origin: origin, key: key, id: []byte(rand.Text()), flags: 1 | 4}
}

// passkeyOptions are the options of a ceremony that the server sends.
type passkeyOptions struct {
	PublicKey struct {
		Challenge string
		RPID      string `json:"rpId"`
		RP        struct{ ID string }
		User      struct{ ID string }
	}
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) clientData(kind, challenge string) []byte {
	a.t.Helper()
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

func (a *authenticator) data(rpID string, flags byte) []byte {
	sum := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.count)
}

func (a *authenticator) answer(fields map[string][]byte) string {
	a.t.Helper()
	response := map[string]string{}
	for name, value := range fields {
		response[name] = base64url(value)
	}
	text, err := json.Marshal(map[string]any{
		"id": base64url(a.id), "rawId": base64url(a.id), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// create answers the options of a registration.
func (a *authenticator) create(o passkeyOptions) string {
	a.t.Helper()
	handle, err := base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		a.t.Fatal(err)
	}
	a.handle = handle
	point, err := a.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		a.t.Fatal(err)
	}
	// A COSE key (RFC 9052 §7) and an attestation object, in CBOR.
	key := slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33], []byte{0x22, 0x58, 32}, point[33:])
	data := slices.Concat(a.data(o.PublicKey.RP.ID, a.flags|64), make([]byte, 16), []byte{0, byte(len(a.id))}, a.id, key)
	object := slices.Concat([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), []byte{byte(len(data))}, data)
	return a.answer(map[string][]byte{"clientDataJSON": a.clientData("webauthn.create", o.PublicKey.Challenge), "attestationObject": object})
}

// get answers the options of a sign-in.
func (a *authenticator) get(o passkeyOptions) string {
	a.t.Helper()
	client := a.clientData("webauthn.get", o.PublicKey.Challenge)
	data, sum := a.data(o.PublicKey.RPID, a.flags), sha256.Sum256(client)
	signed := sha256.Sum256(append(slices.Clone(data), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, signed[:])
	if err != nil {
		a.t.Fatal(err)
	}
	return a.answer(map[string][]byte{"clientDataJSON": client, "authenticatorData": data, "signature": signature, "userHandle": a.handle})
}
