package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

// fixed is a clock that always shows now. Its timers are real.
type fixed struct{ clock.Clock }

func (fixed) Now() time.Time { return now }

func raw(header, payload string, sign func(string) []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	return text + "." + b64(sign(text))
}

const payload = `{"iss":"https://id.example","aud":"cvv","sub":"svc-1","exp":4000000000}`

// TestAuthenticate_AcceptsOnlyValidTokens sends valid tokens and known attacks. The
// error says why a token was refused, but neither error nor log quotes it.
func TestAuthenticate_AcceptsOnlyValidTokens(t *testing.T) {
	rs, es, ed := jwttest.New(t, "rs", "RS256"), jwttest.New(t, "es", "ES256"), jwttest.New(t, "ed", "EdDSA")
	stranger := jwttest.New(t, "rs", "RS256")
	encryption := jwttest.New(t, "enc", "RS256")
	enc := encryption.JWK()
	enc["use"] = "enc"
	hmacKey := map[string]string{"kty": "oct", "kid": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte("secret"))}
	noAlg := jwttest.New(t, "noalg", "RS256")
	bare := noAlg.JWK()
	delete(bare, "alg")
	s := newServer(t, jwttest.JWKS(rs.JWK(), es.JWK(), ed.JWK(), enc, hmacKey, bare))
	var log logtest.Buffer
	v := start(t, config{s.URL, []string{"RS256", "ES256", "EdDSA"}, auth.Options{
		Clock: fixed{clock.New()}, Logger: log.Text(), RefreshWait: time.Millisecond, Leeway: 10 * time.Second,
	}})
	der := must.Get(x509.MarshalPKIXPublicKey(rs.Private.Public()))(t)
	hs := func(secret []byte) func(string) []byte {
		return func(text string) []byte {
			m := hmac.New(sha256.New, secret)
			m.Write([]byte(text))
			return m.Sum(nil)
		}
	}
	none := func(string) []byte { return nil }
	good := rs.Sign(t, claims())
	parts := strings.Split(good, ".")
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }

	for name, test := range map[string]struct {
		token string
		want  error
	}{
		"RS256":             {good, nil},
		"ES256":             {es.Sign(t, claims()), nil},
		"EdDSA":             {ed.Sign(t, claims()), nil},
		"audience in list":  {ed.Sign(t, claims("aud", []string{"x", "cvv"})), nil},
		"no kid":            {ed.Sign(t, claims(), "kid", ""), nil},
		"expired in leeway": {ed.Sign(t, claims("exp", at(-9*time.Second))), nil},

		"no token":           {"", auth.ErrMissing},
		"expired":            {ed.Sign(t, claims("exp", at(-10*time.Second))), auth.ErrExpired},
		"no exp":             {ed.Sign(t, claims("exp", nil)), auth.ErrClaims},
		"exp 0":              {ed.Sign(t, claims("exp", 0)), auth.ErrClaims},
		"exp text":           {ed.Sign(t, claims("exp", "4000000000")), auth.ErrClaims},
		"exp beyond time":    {ed.Sign(t, claims("exp", -math.MaxFloat64)), auth.ErrClaims},
		"not yet":            {ed.Sign(t, claims("nbf", at(11*time.Second))), auth.ErrEarly},
		"issued in future":   {ed.Sign(t, claims("iat", at(11*time.Second))), auth.ErrEarly},
		"other issuer":       {ed.Sign(t, claims("iss", "https://id.example/")), auth.ErrIssuer},
		"no issuer":          {ed.Sign(t, claims("iss", nil)), auth.ErrClaims},
		"other audience":     {ed.Sign(t, claims("aud", "cvv2")), auth.ErrAudience},
		"no audience":        {ed.Sign(t, claims("aud", nil)), auth.ErrClaims},
		"no subject":         {ed.Sign(t, claims("sub", nil)), auth.ErrClaims},
		"empty subject":      {ed.Sign(t, claims("sub", "")), auth.ErrClaims},
		"subject a number":   {ed.Sign(t, claims("sub", 7)), auth.ErrClaims},
		"long subject":       {ed.Sign(t, claims("sub", strings.Repeat("x", 256))), auth.ErrClaims},
		"account a list":     {ed.Sign(t, claims("account_id", []string{"acme"})), auth.ErrClaims},
		"scope a list":       {ed.Sign(t, claims("scope", []string{"cvv:read"})), auth.ErrClaims},
		"scp with a number":  {ed.Sign(t, claims("scope", nil, "scp", []any{"a", 1})), auth.ErrClaims},
		"stranger's key":     {stranger.Sign(t, claims()), auth.ErrSignature},
		"payload exchanged":  {parts[0] + "." + strings.Split(ed.Sign(t, claims("sub", "root")), ".")[1] + "." + parts[2], auth.ErrSignature},
		"signature cut":      {parts[0] + "." + parts[1] + "." + parts[2][:100], auth.ErrSignature},
		"signature empty":    {parts[0] + "." + parts[1] + ".", auth.ErrSignature},
		"signature missing":  {parts[0] + "." + parts[1], auth.ErrMalformed},
		"four parts":         {good + ".x", auth.ErrMalformed},
		"garbage":            {"garbage", auth.ErrMalformed},
		"dots":               {"..", auth.ErrMalformed},
		"too long":           {ed.Sign(t, claims("x", strings.Repeat("x", auth.MaxToken))), auth.ErrMalformed},
		"padding":            {parts[0] + "=." + parts[1] + "." + parts[2], auth.ErrMalformed},
		"unsigned":           {raw(`{"alg":"none"}`, payload, none), auth.ErrAlgorithm},
		"unsigned, kid":      {raw(`{"alg":"none","kid":"rs"}`, payload, none), auth.ErrAlgorithm},
		"unsigned, NoNe":     {raw(`{"alg":"NoNe"}`, payload, none), auth.ErrAlgorithm},
		"no algorithm":       {raw(`{"kid":"rs"}`, payload, none), auth.ErrKey},
		"algorithm a list":   {raw(`{"alg":["RS256"],"kid":"rs"}`, payload, none), auth.ErrAlgorithm},
		"HS256 by DER":       {raw(`{"alg":"HS256","kid":"rs"}`, payload, hs(der)), auth.ErrAlgorithm},
		"HS256 by PEM":       {raw(`{"alg":"HS256","kid":"rs"}`, payload, hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), auth.ErrAlgorithm},
		"HS256 by modulus":   {raw(`{"alg":"HS256","kid":"rs"}`, payload, hs(rs.Private.Public().(*rsa.PublicKey).N.Bytes())), auth.ErrAlgorithm},
		"HS256 by oct key":   {raw(`{"alg":"HS256","kid":"oct"}`, payload, hs([]byte("secret"))), auth.ErrAlgorithm},
		"RS256 as HMAC":      {raw(`{"alg":"RS256","kid":"rs"}`, payload, hs(der)), auth.ErrSignature},
		"RS256 by oct key":   {raw(`{"alg":"RS256","kid":"oct"}`, payload, hs([]byte("secret"))), auth.ErrKey},
		"alg not pinned":     {newPS(rs).Sign(t, claims()), auth.ErrAlgorithm},
		"alg not pinned 2":   {newPS(noAlg).Sign(t, claims()), auth.ErrAlgorithm},
		"alg is not the key": {es.Sign(t, claims(), "kid", "ed"), auth.ErrKey},
		"alg fits no key":    {es.Sign(t, claims(), "kid", "noalg"), auth.ErrKey},
		"encryption key":     {encryption.Sign(t, claims()), auth.ErrKey},
		"unknown kid":        {rs.Sign(t, claims(), "kid", "other"), auth.ErrKey},
		"kid a path":         {rs.Sign(t, claims(), "kid", "../../../dev/null"), auth.ErrKey},
		"kid SQL":            {rs.Sign(t, claims(), "kid", "' UNION SELECT 'rs"), auth.ErrKey},
		"kid a number":       {raw(`{"alg":"RS256","kid":7}`, payload, none), auth.ErrKey},
		"kid null":           {raw(`{"alg":"RS256","kid":null}`, payload, none), auth.ErrKey},
		"own jwk":            {stranger.Sign(t, claims(), "kid", "", "jwk", `{"kty":"RSA"}`), auth.ErrSignature},
		"own jku":            {stranger.Sign(t, claims(), "kid", "own", "jku", s.URL), auth.ErrKey},
		"crit":               {rs.Sign(t, claims(), "crit", "exp"), auth.ErrMalformed},
		"header twice":       {raw(`{"alg":"RS256","alg":"none","kid":"rs"}`, payload, none), auth.ErrAlgorithm},
		"payload null":       {raw(`{"alg":"RS256","kid":"rs"}`, `null`, none), auth.ErrSignature},
		"payload a list":     {raw(`{"alg":"RS256","kid":"rs"}`, `[]`, none), auth.ErrMalformed},
		"header null":        {raw(`null`, payload, none), auth.ErrKey},
		"deep":               {raw(`{"alg":"RS256","kid":"rs"}`, strings.Repeat("[", 4000), none), auth.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := v.Authenticate(t.Context(), test.token)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if test.want == nil {
				must.Equal(t, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"cvv:rotate", "cvv:read"}}, caller)
				return
			}
			if !errors.Is(err, auth.ErrUnauthenticated) || caller.Subject != "" {
				t.Errorf("%v does not match ErrUnauthenticated, or came with a caller", err)
			}
			for part := range strings.SplitSeq(test.token, ".") {
				if len(part) > 8 && strings.Contains(err.Error()+log.String(), part) {
					t.Error("the error or the log holds the token")
				}
			}
		})
	}
}

// newPS returns the key with PS256, which RSA keys can do as well.
func newPS(k jwttest.Key) jwttest.Key {
	return jwttest.Key{ID: k.ID, Algorithm: "PS256", Private: k.Private}
}

func TestAuthenticate_ReadsScopesAndAccount(t *testing.T) {
	ed := jwttest.New(t, "ed", "EdDSA")
	s := newServer(t, jwttest.JWKS(ed.JWK()))
	v := start(t, config{s.URL, []string{"EdDSA"}, auth.Options{Clock: fixed{clock.New()}, Claims: auth.Claims{Account: "https://example/account"}}})
	for name, test := range map[string]struct {
		change []any
		want   auth.Caller
	}{
		"scope is a list with spaces": {[]any{"scope", "a  b "}, auth.Caller{Subject: "svc-1", Scopes: []string{"a", "b"}}},
		"scp is an array":             {[]any{"scope", nil, "scp", []string{"a", "b"}}, auth.Caller{Subject: "svc-1", Scopes: []string{"a", "b"}}},
		"scp is a list with spaces":   {[]any{"scope", nil, "scp", "a b"}, auth.Caller{Subject: "svc-1", Scopes: []string{"a", "b"}}},
		"scope wins over scp":         {[]any{"scope", "a", "scp", []string{"b"}}, auth.Caller{Subject: "svc-1", Scopes: []string{"a"}}},
		"another account claim":       {[]any{"scope", nil, "https://example/account", "A"}, auth.Caller{Subject: "svc-1", Account: "A", Scopes: []string{}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Authenticate(t.Context(), ed.Sign(t, claims(test.change...)))
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestCaller_HasOnlyGrantedScopes(t *testing.T) {
	if c := (auth.Caller{Scopes: []string{"cvv:read"}}); !c.Has("cvv:read") || c.Has("cvv") || c.Has("") {
		t.Error("Has compares more or less than whole scopes")
	}
}

func TestNew_RefusesUnusableArguments(t *testing.T) {
	good := config{"https://id.example/jwks", []string{"RS256"}, auth.Options{}}
	issuer := auth.Issuer{Name: "i", Audience: "a"}
	build := func(i auth.Issuer, c config) error {
		i.Algorithms = c.algorithms
		_, err := auth.New(i, c.jwks, c.Options)
		return err
	}
	must.Do(t, build(issuer, good))
	for name, change := range map[string]func(*auth.Issuer, *config){
		"no issuer":           func(i *auth.Issuer, _ *config) { i.Name = "" },
		"no audience":         func(i *auth.Issuer, _ *config) { i.Audience = "" },
		"no algorithms":       func(_ *auth.Issuer, c *config) { c.algorithms = nil },
		"algorithm none":      func(_ *auth.Issuer, c *config) { c.algorithms = []string{"RS256", "none"} },
		"algorithm HS256":     func(_ *auth.Issuer, c *config) { c.algorithms = []string{"HS256"} },
		"no JWKS":             func(_ *auth.Issuer, c *config) { c.jwks = "" },
		"http":                func(_ *auth.Issuer, c *config) { c.jwks = "http://user:hunter2@id.example/jwks" },
		"http, like loopback": func(_ *auth.Issuer, c *config) { c.jwks = "http://127.0.0.1.example/jwks" },
		"ftp":                 func(_ *auth.Issuer, c *config) { c.jwks = "ftp://id.example/jwks" },
		"no host":             func(_ *auth.Issuer, c *config) { c.jwks = "https:///jwks" },
		"malformed URL":       func(_ *auth.Issuer, c *config) { c.jwks = "https://user:hunter2@id.example:x/" },
		"client and TLS":      func(_ *auth.Issuer, c *config) { c.Client, c.TLS = http.DefaultClient, &tls.Config{} },
		"negative leeway":     func(_ *auth.Issuer, c *config) { c.Leeway = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			i, c := issuer, good
			change(&i, &c)
			if err := build(i, c); !errors.Is(err, auth.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
		})
	}
}

func TestNewStatic_IsReadyImmediately(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	issuer := auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{"EdDSA"}}
	v := must.Get(auth.NewStatic(issuer, jwttest.JWKS(k.JWK()), auth.Options{Clock: fixed{clock.New()}, RefreshWait: time.Hour}))(t)
	accepts(t, v, k.Sign(t, claims()), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := v.Authenticate(ctx, k.Sign(t, claims(), "kid", "unknown")); !errors.Is(err, auth.ErrKey) {
		t.Errorf("an unknown key must not wait for a refresh: %v", err)
	}
	if _, err := auth.NewStatic(issuer, jwttest.JWKS(), auth.Options{}); !errors.Is(err, auth.ErrConfig) {
		t.Errorf("an empty key set: %v", err)
	}
}

func TestAuthenticate_ReturnsContextErrorWhileWaitingForRefresh(t *testing.T) {
	ed := jwttest.New(t, "ed", "EdDSA")
	s := newServer(t, jwttest.JWKS(ed.JWK()))
	v := start(t, config{s.URL, []string{"EdDSA"}, auth.Options{Clock: fixed{clock.New()}, MinRefresh: time.Hour, Refresh: 2 * time.Hour, RefreshWait: time.Hour}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Authenticate(ctx, ed.Sign(t, claims(), "kid", "new")); !errors.Is(err, context.Canceled) || errors.Is(err, auth.ErrUnauthenticated) {
		t.Error(err)
	}
}

// FuzzAuthenticate checks that no input is accepted as a token or fails without a
// reason.
func FuzzAuthenticate(f *testing.F) {
	dev := devtoken.New(nil)
	f.Add(dev.Token(auth.Caller{Subject: "s"}, time.Hour)[:60])
	f.Add(raw(`{"alg":"none"}`, payload, func(string) []byte { return nil }))
	f.Add(raw(`{"alg":"EdDSA","kid":"development"}`, payload, func(string) []byte { return make([]byte, 64) }))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := dev.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("accepted, or refused without a reason: %v", err)
		}
	})
}

func TestBearerToken_RequiresOneBearerHeader(t *testing.T) {
	for name, test := range map[string]struct {
		headers []string
		token   string
		err     error
	}{
		"no header":       {nil, "", auth.ErrMissing},
		"bearer":          {[]string{"Bearer a.b.c"}, "a.b.c", nil},
		"case and spaces": {[]string{"bEARER   a.b.c"}, "a.b.c", nil},
		"empty header":    {[]string{""}, "", auth.ErrMalformed},
		"no token":        {[]string{"Bearer"}, "", auth.ErrMalformed},
		"empty token":     {[]string{"Bearer "}, "", auth.ErrMalformed},
		"another scheme":  {[]string{"Basic dXNlcjpwdw=="}, "", auth.ErrMalformed},
		"two headers":     {[]string{"Bearer a", "Bearer b"}, "", auth.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := http.NewRequest("GET", "/", nil)
			r.Header["Authorization"] = test.headers
			token, err := auth.BearerToken(r)
			if token != test.token || !errors.Is(err, test.err) {
				t.Errorf("%q, %v", token, err)
			}
		})
	}
}

func TestAuthenticateRequest_ReadsBearerToken(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	v := start(t, config{newServer(t, jwttest.JWKS(k.JWK())).URL, []string{"EdDSA"}, auth.Options{Clock: fixed{clock.New()}}})
	r, _ := http.NewRequest("GET", "/", nil)
	if _, err := v.AuthenticateRequest(r); !errors.Is(err, auth.ErrMissing) {
		t.Error(err)
	}
	r.Header.Set("Authorization", "Bearer "+k.Sign(t, claims()))
	if caller, err := v.AuthenticateRequest(r); caller.Subject != "svc-1" || err != nil {
		t.Error(caller, err)
	}
}

func TestChallenge_DoesNotSayWhy(t *testing.T) {
	if got := auth.ErrMissing.Challenge(); got != `Bearer realm="cvv"` {
		t.Error(got)
	}
	expired, signature := auth.ErrExpired.Challenge(), auth.ErrSignature.Challenge()
	if expired != signature || expired != `Bearer realm="cvv", error="invalid_token"` {
		t.Error(expired, signature)
	}
}
