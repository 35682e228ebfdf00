package auth_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

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
	b := jwttest.JWKS(keys...)
	s.body.Store(&b)
}

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
	v := must.Get(auth.New(auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: c.algorithms}, c.jwks, c.Options))(t)
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
