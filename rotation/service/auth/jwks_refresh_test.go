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

	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

func configFor(jwks string) config {
	return config{jwks, []string{"RS256", "ES256", "EdDSA"}, auth.Options{
		Clock: fixed{clock.New()}, MinRefresh: 20 * time.Millisecond, RefreshWait: 10 * time.Second,
	}}
}

func accepts(t *testing.T, v *auth.Verifier, token string, want error) {
	t.Helper()
	if _, err := v.Authenticate(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// TestRefresh_AcceptsNewKeyImmediately: the first token with a new key triggers a
// refresh, which also withdraws the old key.
func TestRefresh_AcceptsNewKeyImmediately(t *testing.T) {
	before, after := jwttest.New(t, "2026-10", "RS256"), jwttest.New(t, "2026-11", "ES256")
	s := newServer(t, jwttest.JWKS(before.JWK()))
	v := start(t, configFor(s.URL))
	token := before.Sign(t, claims())
	accepts(t, v, token, nil)

	s.set(after.JWK())
	accepts(t, v, token, nil) // the verifier does not know of the change yet
	accepts(t, v, after.Sign(t, claims()), nil)
	accepts(t, v, token, auth.ErrKey) // although the token was cached
	if n := s.served.Load(); n > 5 {
		t.Errorf("%d requests of the key set", n)
	}
}

// TestReload_ReplacesKeyWithSameID: no token names an unknown key, so only Reload
// triggers a refresh.
func TestReload_ReplacesKeyWithSameID(t *testing.T) {
	before, after := jwttest.New(t, "the same", "ES256"), jwttest.New(t, "the same", "ES256")
	s := newServer(t, jwttest.JWKS(before.JWK()))
	v := start(t, configFor(s.URL))
	old, fresh := before.Sign(t, claims()), after.Sign(t, claims())
	accepts(t, v, old, nil)
	s.set(after.JWK())
	accepts(t, v, fresh, auth.ErrSignature)
	v.Reload()
	until(t, "using the new key", func() bool { _, err := v.Authenticate(t.Context(), fresh); return err == nil })
	accepts(t, v, old, auth.ErrSignature)
}

// TestRefresh_InventedKeyIDsDoNotDelayNewKey: they do not overload the issuer either.
func TestRefresh_InventedKeyIDsDoNotDelayNewKey(t *testing.T) {
	old, fresh := jwttest.New(t, "old", "EdDSA"), jwttest.New(t, "new", "EdDSA")
	s := newServer(t, jwttest.JWKS(old.JWK()))
	c := configFor(s.URL)
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
				_, err := v.Authenticate(t.Context(), old.Sign(t, claims(), "kid", fmt.Sprintf("%d-%d", i, n)))
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
	s.set(old.JWK(), fresh.JWK())
	accepts(t, v, fresh.Sign(t, claims()), nil)
	accepts(t, v, old.Sign(t, claims()), nil)
	close(stop)
	wg.Wait()
	if n, limit := s.served.Load(), int64(time.Since(begun)/c.MinRefresh)+2; n > limit {
		t.Errorf("%d requests of the key set in %v, want up to %d", n, time.Since(begun), limit)
	}
}

// TestRefresh_HangingServerDelaysOnlyUnknownKeys delays them by RefreshWait.
func TestRefresh_HangingServerDelaysOnlyUnknownKeys(t *testing.T) {
	k, fresh := jwttest.New(t, "k", "EdDSA"), jwttest.New(t, "new", "EdDSA")
	s := newServer(t, jwttest.JWKS(k.JWK()))
	c := configFor(s.URL)
	c.RefreshWait = 50 * time.Millisecond
	v := start(t, c)
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.handler.Store(&hang)
	begun := time.Now()
	accepts(t, v, fresh.Sign(t, claims()), auth.ErrKey)
	accepts(t, v, k.Sign(t, claims()), nil)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestRefresh_FailureKeepsPreviousKeySet(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	weak := must.Get(rsa.GenerateKey(rand.Reader, 1024))(t)
	short := jwttest.Key{ID: "weak", Algorithm: "RS256", Private: weak}
	private := k.JWK()
	private["d"] = private["x"]
	big := strings.Replace(string(jwttest.JWKS(k.JWK())), "[", "["+strings.Repeat(" ", 1<<20), 1)
	var many []map[string]string
	for range 65 {
		many = append(many, k.JWK())
	}
	fails := map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"404": http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				w.Write(jwttest.JWKS(k.JWK()))
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
		"no keys":  func(w http.ResponseWriter, _ *http.Request) { w.Write(jwttest.JWKS()) },
		"too big":  func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(big)) },
		"too many": func(w http.ResponseWriter, _ *http.Request) { w.Write(jwttest.JWKS(many...)) },
		"weak RSA": func(w http.ResponseWriter, _ *http.Request) { w.Write(jwttest.JWKS(short.JWK())) },
		"private":  func(w http.ResponseWriter, _ *http.Request) { w.Write(jwttest.JWKS(private)) },
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
			s := newServer(t, jwttest.JWKS(k.JWK()))
			s.handler.Store(&handler)
			c := configFor(s.URL)
			c.RefreshWait = time.Millisecond
			var log logtest.Buffer
			c.Logger = log.Text()
			v := begin(t, c)
			token := k.Sign(t, claims())
			until(t, "logged", func() bool {
				return strings.Contains(log.String(), "JWKS refresh failed; no key set was loaded yet")
			})
			if v.Ready() || !v.Loaded().IsZero() {
				t.Error("ready without keys")
			}
			accepts(t, v, token, auth.ErrNotReady)

			s.handler.Store(nil) // it recovers
			until(t, "ready", v.Ready)
			accepts(t, v, token, nil)

			s.handler.Store(&handler) // and fails again
			served := s.served.Load()
			accepts(t, v, k.Sign(t, claims(), "kid", "unknown"), auth.ErrKey)
			until(t, "requested again", func() bool { return s.served.Load() > served })
			accepts(t, v, token, nil)
			if !v.Ready() {
				t.Error("not ready although there are keys")
			}
		})
	}
}

func TestRefresh_LogsNoPasswordOfURL(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	s := newServer(t, jwttest.JWKS(k.JWK()))
	var log logtest.Buffer
	c := configFor(strings.Replace(s.URL, "http://", "http://user:hunter2@", 1) + "/?token=hunter2")
	c.Logger, c.RefreshWait, c.Refresh = log.Text(), time.Millisecond, 40*time.Millisecond
	v := start(t, c)
	s.Close()
	until(t, "logged", func() bool { return strings.Contains(log.String(), "failed") })
	accepts(t, v, k.Sign(t, claims()), nil)
	if strings.Contains(log.String(), "hunter2") {
		t.Error("the log holds the URL's password")
	}
}

func TestRefresh_ReadsReplacedFile(t *testing.T) {
	before, after := jwttest.New(t, "a", "EdDSA"), jwttest.New(t, "b", "EdDSA")
	path := filepath.Join(t.TempDir(), "jwks.json")
	write := func(b []byte) {
		t.Helper()
		must.Do(t, os.WriteFile(path+".new", b, 0o600))
		must.Do(t, os.Rename(path+".new", path))
	}
	c := configFor(path)
	c.Refresh = 20 * time.Millisecond
	v := begin(t, c)
	if v.Ready() {
		t.Error("ready without a file")
	}
	write(jwttest.JWKS(before.JWK()))
	until(t, "ready", v.Ready)
	accepts(t, v, before.Sign(t, claims()), nil)
	write(jwttest.JWKS(after.JWK()))
	accepts(t, v, after.Sign(t, claims()), nil)
	c.RefreshWait = time.Millisecond
	accepts(t, start(t, c), before.Sign(t, claims()), auth.ErrKey)
}

// TestRefresh_RefusesFileThatOthersMayWrite: a user who can write it could forge tokens.
func TestRefresh_RefusesFileThatOthersMayWrite(t *testing.T) {
	before, after := jwttest.New(t, "a", "EdDSA"), jwttest.New(t, "b", "EdDSA")
	path := filepath.Join(t.TempDir(), "jwks.json")
	must.Do(t, os.WriteFile(path, jwttest.JWKS(before.JWK()), 0o600))
	var log logtest.Buffer
	c := configFor(path)
	c.RefreshWait, c.Logger = time.Millisecond, log.Text()
	v := start(t, c)
	must.Do(t, os.Chmod(path, 0o666))
	must.Do(t, os.WriteFile(path, jwttest.JWKS(after.JWK()), 0o600)) // keeps the mode
	v.Reload()
	until(t, "logged", func() bool { return strings.Contains(log.String(), "run chmod o-w "+path) })
	accepts(t, v, before.Sign(t, claims()), nil)
	accepts(t, v, after.Sign(t, claims()), auth.ErrKey)
	if err := auth.CheckKeySet(path); err == nil {
		t.Error("CheckKeySet accepts it")
	}
	must.Do(t, os.Chmod(path, 0o644))
	until(t, "reloaded", func() bool { _, err := v.Authenticate(t.Context(), after.Sign(t, claims())); return err == nil })
}
