package push_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sohbet/server/push"
)

var b64 = base64.RawURLEncoding

// browser is a subscription with the private key, which only the browser has.
type browser struct {
	key    *ecdh.PrivateKey
	secret []byte
	path   string
}

func newBrowser(t *testing.T, path string) browser {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := browser{key: key, secret: make([]byte, 16), path: path}
	if _, err := rand.Read(b.secret); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b browser) subscription(locale string) push.Subscription {
	n := push.Subscription{Endpoint: "https://" + host + b.path, Locale: locale}
	n.Keys.P256DH, n.Keys.Auth = b64.EncodeToString(b.key.PublicKey().Bytes()), b64.EncodeToString(b.secret)
	return n
}

// open decrypts a message (RFC 8291 §3.4 on RFC 8188) and removes its padding.
func (b browser) open(body []byte) ([]byte, error) {
	if len(body) < 21 || len(body) > 4096 {
		return nil, fmt.Errorf("a body of %d bytes; push services must take 4096", len(body))
	}
	salt, size, idLen := body[:16], binary.BigEndian.Uint32(body[16:20]), int(body[20])
	if idLen != 65 || len(body) < 21+idLen || int(size) < len(body)-21-idLen {
		return nil, fmt.Errorf("a key id of %d bytes, records of %d", idLen, size)
	}
	sender, err := ecdh.P256().NewPublicKey(body[21 : 21+idLen])
	if err != nil {
		return nil, err
	}
	shared, err := b.key.ECDH(sender)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(b.key.PublicKey().Bytes()) + string(sender.Bytes())
	ikm, err := hkdf.Key(sha256.New, shared, b.secret, info, 32)
	if err != nil {
		return nil, err
	}
	cek, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, body[21+idLen:], nil)
	if err != nil {
		return nil, err
	}
	end := len(plain) - 1
	for ; end >= 0 && plain[end] == 0; end-- {
	}
	if end < 0 || plain[end] != 2 {
		return nil, errors.New("the padding does not end the last record")
	}
	return plain[:end], nil
}

// host is the host name of the fake push service.
const host = "example.com"

// pushed is a message that the service accepted.
type pushed struct {
	path, topic string
	Title       string
	Body        string
	Tag         string
	URL         string
	Unread      int64
	contact     string
}

// service is a push service that refuses everything that a real one might refuse.
type service struct {
	*httptest.Server
	t        *testing.T
	key      string // the application server key of the subscriptions
	browsers map[string]browser
	answers  map[string][]int // status codes by path, in sequence; 201 after that

	retryAfter string // Retry-After header of a 429

	mu    sync.Mutex
	taken []pushed
	tries int
}

func newService(t *testing.T, browsers ...browser) *service {
	t.Helper()
	s := &service{t: t, browsers: map[string]browser{}, answers: map[string][]int{}}
	for _, b := range browsers {
		s.browsers[b.path] = b
	}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tries++
		if statuses := s.answers[r.URL.Path]; len(statuses) > 0 {
			s.answers[r.URL.Path] = statuses[1:]
			switch statuses[0] {
			case http.StatusFound:
				w.Header().Set("Location", "https://"+host+"/elsewhere")
			case http.StatusTooManyRequests:
				w.Header().Set("Retry-After", s.retryAfter)
			}
			w.WriteHeader(statuses[0])
			return
		}
		p, err := s.take(r)
		if err != nil {
			t.Errorf("the push service refuses: %v", err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.taken = append(s.taken, p)
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(s.Close)
	return s
}

// transport returns a transport that connects to the service under its host name.
func (s *service) transport() http.RoundTripper {
	tr := s.Client().Transport.(*http.Transport).Clone()
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}
	return tr
}

var topicForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (s *service) take(r *http.Request) (pushed, error) {
	b, known := s.browsers[r.URL.Path]
	if !known || r.Method != http.MethodPost {
		return pushed{}, fmt.Errorf("%s %s", r.Method, r.URL.Path)
	}
	h := r.Header
	if h.Get("Content-Encoding") != "aes128gcm" || h.Get("Urgency") != "high" || h.Get("Ttl") == "" || !topicForm.MatchString(h.Get("Topic")) {
		return pushed{}, fmt.Errorf("headers %v", h)
	}
	contact, err := s.vapid(h.Get("Authorization"))
	if err != nil {
		return pushed{}, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return pushed{}, err
	}
	text, err := b.open(body)
	if err != nil {
		return pushed{}, err
	}
	p := pushed{path: r.URL.Path, topic: h.Get("Topic"), contact: contact}
	return p, json.Unmarshal(text, &p)
}

// vapid verifies the sender's signature (RFC 8292) and returns its contact address.
func (s *service) vapid(header string) (string, error) {
	found := regexp.MustCompile(`^vapid t=([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+), k=([A-Za-z0-9_-]+)$`).FindStringSubmatch(header)
	if found == nil {
		return "", errors.New("Authorization is no vapid credential")
	}
	var parts [5][]byte
	for i := 1; i < 5; i++ {
		var err error
		if parts[i], err = b64.DecodeString(found[i]); err != nil {
			return "", err
		}
	}
	var head struct{ Typ, Alg string }
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := errors.Join(json.Unmarshal(parts[1], &head), json.Unmarshal(parts[2], &claims)); err != nil {
		return "", err
	}
	expires := time.Until(time.Unix(claims.Exp, 0))
	switch {
	case found[4] != s.key:
		return "", errors.New("another key than browsers subscribed for")
	case head.Alg != "ES256" || claims.Aud != "https://"+host || expires <= 0 || expires > 24*time.Hour:
		return "", fmt.Errorf("head %+v, claims %+v", head, claims)
	case !strings.HasPrefix(claims.Sub, "https://") && !regexp.MustCompile(`^mailto:[^:@]+@[^:@]+$`).MatchString(claims.Sub):
		return "", fmt.Errorf("sub %q", claims.Sub)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), parts[4])
	if err != nil || len(parts[3]) != 64 {
		return "", errors.New("a signature or key of another form")
	}
	digest := sha256.Sum256([]byte(found[1] + "." + found[2]))
	if !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(parts[3][:32]), new(big.Int).SetBytes(parts[3][32:])) {
		return "", errors.New("the signature is wrong")
	}
	return claims.Sub, nil
}

// all returns the messages accepted so far, by path.
func (s *service) all() []pushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.taken)
	slices.SortFunc(list, func(a, b pushed) int { return strings.Compare(a.path, b.path) })
	return list
}

func (s *service) tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}
