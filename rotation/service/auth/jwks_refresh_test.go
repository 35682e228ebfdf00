package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/auth"
)

func config(jwks string) auth.Config {
	return auth.Config{
		JWKS: jwks, Algorithms: []string{"RS256", "ES256", "EdDSA"}, Clock: fixed{clock.New()},
		MinRefresh: 20 * time.Millisecond, Patience: 10 * time.Second,
	}
}

func accepts(t *testing.T, v *auth.Verifier, token string, want error) {
	t.Helper()
	if _, err := v.Authenticate(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// The issuer changes its key: the first token with the new one is accepted at
// once, and the old one goes with the load.
func TestKeyRotation(t *testing.T) {
	before, after := newKey(t, "2026-10", "RS256"), newKey(t, "2026-11", "ES256")
	s := newServer(t, jwks(before.jwk()))
	v := start(t, config(s.URL))
	token := before.sign(t, claims())
	accepts(t, v, token, nil)

	s.set(after.jwk())
	accepts(t, v, token, nil) // nothing has told of the change yet
	accepts(t, v, after.sign(t, claims()), nil)
	accepts(t, v, token, auth.ErrKey) // although it was accepted before
	if n := s.served.Load(); n > 5 {
		t.Errorf("%d requests of the key set", n)
	}
}

// The issuer puts another key under the same id, and somebody says so: nothing in
// a token would.
func TestReload(t *testing.T) {
	before, after := newKey(t, "the same", "ES256"), newKey(t, "the same", "ES256")
	s := newServer(t, jwks(before.jwk()))
	v := start(t, config(s.URL))
	old, fresh := before.sign(t, claims()), after.sign(t, claims())
	accepts(t, v, old, nil)
	s.set(after.jwk())
	accepts(t, v, fresh, auth.ErrSignature)
	v.Reload()
	until(t, "the new key counts", func() bool { _, err := v.Authenticate(t.Context(), fresh); return err == nil })
	accepts(t, v, old, auth.ErrSignature)
}

// Thousands of made-up key ids neither keep a new key out nor load the issuer.
func TestKeyFlood(t *testing.T) {
	old, fresh := newKey(t, "old", "EdDSA"), newKey(t, "new", "EdDSA")
	s := newServer(t, jwks(old.jwk()))
	c := config(s.URL)
	c.MinRefresh = 100 * time.Millisecond
	v := start(t, c)
	begun := time.Now()

	const attackers = 16
	var wg sync.WaitGroup
	stop := make(chan struct{})
	started := make(chan struct{}, attackers)
	for i := range attackers {
		wg.Go(func() {
			for n := 0; ; n++ {
				_, err := v.Authenticate(t.Context(), old.sign(t, claims(), "kid", fmt.Sprintf("%d-%d", i, n)))
				if !errors.Is(err, auth.ErrKey) {
					t.Error(err)
				}
				if n == 0 {
					started <- struct{}{}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range attackers {
		<-started
	}
	s.set(old.jwk(), fresh.jwk())
	accepts(t, v, fresh.sign(t, claims()), nil)
	accepts(t, v, old.sign(t, claims()), nil)
	close(stop)
	wg.Wait()
	if n, limit := s.served.Load(), int64(time.Since(begun)/c.MinRefresh)+2; n > limit {
		t.Errorf("%d requests of the key set in %v, want at most %d", n, time.Since(begun), limit)
	}
}

// A key server that hangs holds a caller up for Patience, and others not at all.
func TestKeyServerHangs(t *testing.T) {
	k, fresh := newKey(t, "k", "EdDSA"), newKey(t, "new", "EdDSA")
	s := newServer(t, jwks(k.jwk()))
	c := config(s.URL)
	c.Patience = 50 * time.Millisecond
	v := start(t, c)
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.handler.Store(&hang)
	begun := time.Now()
	accepts(t, v, fresh.sign(t, claims()), auth.ErrKey)
	accepts(t, v, k.sign(t, claims()), nil)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// What is loaded and is of no use does not replace what was.
func TestKeyServerFails(t *testing.T) {
	k := newKey(t, "k", "EdDSA")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	short := key{"weak", "RS256", weak, jwt.SigningMethodRS256}
	private := k.jwk()
	private["d"] = private["x"]
	big := strings.Replace(string(jwks(k.jwk())), "[", "["+strings.Repeat(" ", 1<<20), 1)
	var many []map[string]string
	for range 65 {
		many = append(many, k.jwk())
	}
	fails := map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"404": http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				w.Write(jwks(k.jwk()))
				return
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.Write([]byte("{"))
		},
		"abort":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"empty":    func(http.ResponseWriter, *http.Request) {},
		"{}":       func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) },
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { w.Write(jwks()) },
		"too big":  func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(big)) },
		"too many": func(w http.ResponseWriter, _ *http.Request) { w.Write(jwks(many...)) },
		"weak RSA": func(w http.ResponseWriter, _ *http.Request) { w.Write(jwks(short.jwk())) },
		"private":  func(w http.ResponseWriter, _ *http.Request) { w.Write(jwks(private)) },
		"oct": func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"keys":[{"kty":"oct","kid":"k","k":"AAAA"}]}`))
		},
		"broken EC": func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"AAAA","y":"AAAA"}]}`))
		},
	}
	for name, handler := range fails {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, jwks(k.jwk()))
			s.handler.Store(&handler)
			c := config(s.URL)
			c.Patience = time.Millisecond
			var log logs
			c.Logger = log.logger()
			v := begin(t, c)
			token := k.sign(t, claims())
			until(t, "logged", func() bool { return strings.Contains(log.String(), "loading the keys of tokens failed") })
			if v.Ready() || !v.Loaded().IsZero() {
				t.Error("ready without keys")
			}
			accepts(t, v, token, auth.ErrNotReady)

			s.handler.Store(nil) // it recovers
			until(t, "ready", v.Ready)
			accepts(t, v, token, nil)

			s.handler.Store(&handler) // and fails again
			served := s.served.Load()
			accepts(t, v, k.sign(t, claims(), "kid", "unknown"), auth.ErrKey)
			until(t, "asked again", func() bool { return s.served.Load() > served })
			accepts(t, v, token, nil)
			if !v.Ready() {
				t.Error("not ready although there are keys")
			}
		})
	}
}

func TestKeyServerDown(t *testing.T) {
	k := newKey(t, "k", "EdDSA")
	s := newServer(t, jwks(k.jwk()))
	var log logs
	c := config(strings.Replace(s.URL, "http://", "http://user:hunter2@", 1) + "/?token=hunter2")
	c.Logger, c.Patience, c.Refresh = log.logger(), time.Millisecond, 40*time.Millisecond
	v := start(t, c)
	s.Close()
	until(t, "logged", func() bool { return strings.Contains(log.String(), "failed") })
	accepts(t, v, k.sign(t, claims()), nil)
	if strings.Contains(log.String(), "hunter2") {
		t.Error("the log holds the URL's password")
	}
}

func TestKeyFile(t *testing.T) {
	before, after := newKey(t, "a", "EdDSA"), newKey(t, "b", "EdDSA")
	path := filepath.Join(t.TempDir(), "jwks.json")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path+".new", b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	c := config(path)
	c.Refresh = 20 * time.Millisecond
	v := begin(t, c)
	if v.Ready() {
		t.Error("ready without a file")
	}
	write(jwks(before.jwk()))
	until(t, "ready", v.Ready)
	accepts(t, v, before.sign(t, claims()), nil)
	write(jwks(after.jwk()))
	accepts(t, v, after.sign(t, claims()), nil)
	c.Patience = time.Millisecond
	accepts(t, start(t, c), before.sign(t, claims()), auth.ErrKey)
}
