package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/auth"
)

// key is a key of an issuer.
type key struct {
	id, alg string
	private crypto.Signer
	method  jwt.SigningMethod
}

func newKey(t testing.TB, id, alg string) key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key{id, alg, private, jwt.GetSigningMethod(alg)}
}

// jwk writes the public key as RFC 7517 and RFC 8037 say.
func (k key) jwk() map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	m := map[string]string{"kid": k.id, "use": "sig", "alg": k.alg}
	switch p := k.private.Public().(type) {
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(p)
	case *ecdsa.PublicKey:
		point, _ := p.Bytes() // 4, x, y (SEC 1)
		m["kty"], m["crv"], m["x"], m["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	}
	return m
}

func jwks(keys ...map[string]string) []byte {
	b, _ := json.Marshal(map[string]any{"keys": keys})
	return b
}

// sign returns a token; nil header members are left out.
func (k key) sign(t testing.TB, claims jwt.MapClaims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(k.method, claims)
	token.Header["kid"] = k.id
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
		if header[i+1] == "" {
			delete(token.Header, header[i])
		}
	}
	s, err := token.SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// now is the time of most tests.
var now = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

func claims(change ...any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": "https://id.example", "aud": "cvv", "sub": "svc-1", "account_id": "acme",
		"exp": now.Add(time.Minute).Unix(), "iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(),
		"scope": "cvv:rotate cvv:read",
	}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == nil {
			delete(c, change[i].(string))
			continue
		}
		c[change[i].(string)] = change[i+1]
	}
	return c
}

// server serves a key set that tests change.
type server struct {
	*httptest.Server
	body    atomic.Pointer[[]byte]
	handler atomic.Pointer[http.HandlerFunc] // instead of the body
	served  atomic.Int64
}

func newServer(t testing.TB, body []byte) *server {
	s := new(server)
	s.body.Store(&body)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		if h := s.handler.Load(); h != nil {
			(*h)(w, r)
			return
		}
		w.Write(*s.body.Load())
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(keys ...map[string]string) {
	b := jwks(keys...)
	s.body.Store(&b)
}

// logs is a buffer for a logger, with a lock.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// config holds the arguments of auth.New that tests vary.
type config struct {
	jwks       string
	algorithms []string
	auth.Options
}

// start runs a verifier until the test ends, and waits until it is ready.
func start(t testing.TB, c config) *auth.Verifier {
	t.Helper()
	v := begin(t, c)
	until(t, "ready", v.Ready)
	return v
}

func begin(t testing.TB, c config) *auth.Verifier {
	t.Helper()
	v, err := auth.New(auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: c.algorithms}, c.jwks, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.Run(t.Context())
	}()
	t.Cleanup(func() { <-done }) // the context ends before cleanups run
	return v
}

// until polls what another goroutine brings about over a socket.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s within 10 s", what)
		}
	}
}
