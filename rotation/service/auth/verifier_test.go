package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
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
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/service/auth"
)

// fixed is a clock that stands at now; timers are real.
type fixed struct{ clock.Clock }

func (fixed) Now() time.Time { return now }

func raw(header, payload string, sign func(string) []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	return text + "." + b64(sign(text))
}

const payload = `{"iss":"https://id.example","aud":"cvv","sub":"svc-1","exp":4000000000}`

func TestAttacks(t *testing.T) {
	rs, es, ed := newKey(t, "rs", "RS256"), newKey(t, "es", "ES256"), newKey(t, "ed", "EdDSA")
	stranger := newKey(t, "rs", "RS256")
	encryption := newKey(t, "enc", "RS256")
	enc := encryption.jwk()
	enc["use"] = "enc"
	hmacKey := map[string]string{"kty": "oct", "kid": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte("secret"))}
	noAlg := newKey(t, "noalg", "RS256")
	bare := noAlg.jwk()
	delete(bare, "alg")
	s := newServer(t, jwks(rs.jwk(), es.jwk(), ed.jwk(), enc, hmacKey, bare))
	var log logs
	v := start(t, auth.Config{
		JWKS: s.URL, Algorithms: []string{"RS256", "ES256", "EdDSA"}, Clock: fixed{clock.New()}, Logger: log.logger(),
		Patience: time.Millisecond, Leeway: 10 * time.Second,
	})
	der, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	hs := func(secret []byte) func(string) []byte {
		return func(text string) []byte {
			m := hmac.New(sha256.New, secret)
			m.Write([]byte(text))
			return m.Sum(nil)
		}
	}
	none := func(string) []byte { return nil }
	good := rs.sign(t, claims())
	parts := strings.Split(good, ".")
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }

	for name, test := range map[string]struct {
		token string
		want  error
	}{
		"RS256":             {good, nil},
		"ES256":             {es.sign(t, claims()), nil},
		"EdDSA":             {ed.sign(t, claims()), nil},
		"audience in list":  {ed.sign(t, claims("aud", []string{"x", "cvv"})), nil},
		"no kid":            {ed.sign(t, claims(), "kid", ""), nil},
		"expired in leeway": {ed.sign(t, claims("exp", at(-9*time.Second))), nil},

		"no token":           {"", auth.ErrMissing},
		"expired":            {ed.sign(t, claims("exp", at(-10*time.Second))), auth.ErrExpired},
		"no exp":             {ed.sign(t, claims("exp", nil)), auth.ErrClaims},
		"exp 0":              {ed.sign(t, claims("exp", 0)), auth.ErrClaims},
		"exp text":           {ed.sign(t, claims("exp", "4000000000")), auth.ErrClaims},
		"exp beyond time":    {ed.sign(t, claims("exp", -math.MaxFloat64)), auth.ErrExpired},
		"not yet":            {ed.sign(t, claims("nbf", at(11*time.Second))), auth.ErrEarly},
		"issued in future":   {ed.sign(t, claims("iat", at(11*time.Second))), auth.ErrEarly},
		"other issuer":       {ed.sign(t, claims("iss", "https://id.example/")), auth.ErrIssuer},
		"no issuer":          {ed.sign(t, claims("iss", nil)), auth.ErrClaims},
		"other audience":     {ed.sign(t, claims("aud", "cvv2")), auth.ErrAudience},
		"no audience":        {ed.sign(t, claims("aud", nil)), auth.ErrClaims},
		"no subject":         {ed.sign(t, claims("sub", nil)), auth.ErrClaims},
		"empty subject":      {ed.sign(t, claims("sub", "")), auth.ErrClaims},
		"subject a number":   {ed.sign(t, claims("sub", 7)), auth.ErrClaims},
		"long subject":       {ed.sign(t, claims("sub", strings.Repeat("x", 256))), auth.ErrClaims},
		"account a number":   {ed.sign(t, claims("account_id", 7)), auth.ErrClaims},
		"scope a list":       {ed.sign(t, claims("scope", []string{"cvv:read"})), auth.ErrClaims},
		"scp with a number":  {ed.sign(t, claims("scope", nil, "scp", []any{"a", 1})), auth.ErrClaims},
		"stranger's key":     {stranger.sign(t, claims()), auth.ErrSignature},
		"payload exchanged":  {parts[0] + "." + strings.Split(ed.sign(t, claims("sub", "root")), ".")[1] + "." + parts[2], auth.ErrSignature},
		"signature cut":      {parts[0] + "." + parts[1] + "." + parts[2][:100], auth.ErrSignature},
		"signature empty":    {parts[0] + "." + parts[1] + ".", auth.ErrSignature},
		"signature missing":  {parts[0] + "." + parts[1], auth.ErrMalformed},
		"four parts":         {good + ".x", auth.ErrMalformed},
		"garbage":            {"garbage", auth.ErrMalformed},
		"dots":               {"..", auth.ErrMalformed},
		"too long":           {ed.sign(t, claims("x", strings.Repeat("x", auth.MaxToken))), auth.ErrMalformed},
		"padding":            {parts[0] + "=." + parts[1] + "." + parts[2], auth.ErrMalformed},
		"unsigned":           {raw(`{"alg":"none"}`, payload, none), auth.ErrAlgorithm},
		"unsigned, kid":      {raw(`{"alg":"none","kid":"rs"}`, payload, none), auth.ErrAlgorithm},
		"unsigned, NoNe":     {raw(`{"alg":"NoNe"}`, payload, none), auth.ErrAlgorithm},
		"no algorithm":       {raw(`{"kid":"rs"}`, payload, none), auth.ErrKey},
		"algorithm a list":   {raw(`{"alg":["RS256"],"kid":"rs"}`, payload, none), auth.ErrAlgorithm},
		"HS256 by DER":       {raw(`{"alg":"HS256","kid":"rs"}`, payload, hs(der)), auth.ErrAlgorithm},
		"HS256 by PEM":       {raw(`{"alg":"HS256","kid":"rs"}`, payload, hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), auth.ErrAlgorithm},
		"HS256 by modulus":   {raw(`{"alg":"HS256","kid":"rs"}`, payload, hs(rs.private.Public().(*rsa.PublicKey).N.Bytes())), auth.ErrAlgorithm},
		"HS256 by oct key":   {raw(`{"alg":"HS256","kid":"oct"}`, payload, hs([]byte("secret"))), auth.ErrAlgorithm},
		"RS256 as HMAC":      {raw(`{"alg":"RS256","kid":"rs"}`, payload, hs(der)), auth.ErrSignature},
		"RS256 by oct key":   {raw(`{"alg":"RS256","kid":"oct"}`, payload, hs([]byte("secret"))), auth.ErrKey},
		"alg not pinned":     {newPS(rs).sign(t, claims()), auth.ErrAlgorithm},
		"alg not pinned 2":   {newPS(noAlg).sign(t, claims()), auth.ErrAlgorithm},
		"alg is not the key": {es.sign(t, claims(), "kid", "ed"), auth.ErrKey},
		"alg fits no key":    {es.sign(t, claims(), "kid", "noalg"), auth.ErrKey},
		"encryption key":     {encryption.sign(t, claims()), auth.ErrKey},
		"unknown kid":        {rs.sign(t, claims(), "kid", "other"), auth.ErrKey},
		"kid a path":         {rs.sign(t, claims(), "kid", "../../../dev/null"), auth.ErrKey},
		"kid SQL":            {rs.sign(t, claims(), "kid", "' UNION SELECT 'rs"), auth.ErrKey},
		"kid a number":       {raw(`{"alg":"RS256","kid":7}`, payload, none), auth.ErrKey},
		"kid null":           {raw(`{"alg":"RS256","kid":null}`, payload, none), auth.ErrKey},
		"own jwk":            {stranger.sign(t, claims(), "kid", "", "jwk", `{"kty":"RSA"}`), auth.ErrSignature},
		"own jku":            {stranger.sign(t, claims(), "kid", "own", "jku", s.URL), auth.ErrKey},
		"crit":               {rs.sign(t, claims(), "crit", "exp"), auth.ErrMalformed},
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
				if diff := cmp.Diff(auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"cvv:rotate", "cvv:read"}}, caller); diff != "" {
					t.Error(diff)
				}
				return
			}
			if !errors.Is(err, auth.ErrToken) || caller.Subject != "" {
				t.Errorf("%v does not match ErrToken, or came with a caller", err)
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
func newPS(k key) key { return key{k.id, "PS256", k.private, jwt.SigningMethodPS256} }

func TestScopes(t *testing.T) {
	ed := newKey(t, "ed", "EdDSA")
	s := newServer(t, jwks(ed.jwk()))
	v := start(t, auth.Config{JWKS: s.URL, Algorithms: []string{"EdDSA"}, Clock: fixed{clock.New()}, AccountClaim: "https://example/account"})
	for _, test := range []struct {
		change []any
		want   auth.Caller
	}{
		{[]any{"scope", "a  b "}, auth.Caller{Subject: "svc-1", Scopes: []string{"a", "b"}}},
		{[]any{"scope", nil, "scp", []string{"a", "b"}}, auth.Caller{Subject: "svc-1", Scopes: []string{"a", "b"}}},
		{[]any{"scope", nil, "scp", "a b"}, auth.Caller{Subject: "svc-1", Scopes: []string{"a", "b"}}},
		{[]any{"scope", "a", "scp", []string{"b"}}, auth.Caller{Subject: "svc-1", Scopes: []string{"a"}}},
		{[]any{"scope", nil, "https://example/account", "A"}, auth.Caller{Subject: "svc-1", Account: "A"}},
	} {
		got, err := v.Authenticate(t.Context(), ed.sign(t, claims(test.change...)))
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%v: %v %s", test.change, err, diff)
		}
	}
	if c := (auth.Caller{Scopes: []string{"cvv:read"}}); !c.Has("cvv:read") || c.Has("cvv") || c.Has("") {
		t.Error("Has")
	}
}

func TestDev(t *testing.T) {
	mock := clock.NewMock()
	mock.Set(now)
	dev, other := auth.NewDev(mock), auth.NewDev(mock)
	want := auth.Caller{Subject: "me", Account: "acme", Scopes: []string{"cvv:read", "cvv:rotate"}}
	token := dev.Mint(want, time.Hour)
	got, err := dev.Authenticate(t.Context(), token)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(err, diff)
	}
	if _, err := other.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrSignature) {
		t.Errorf("another process's token: %v", err)
	}
	if _, err := dev.Authenticate(t.Context(), newKey(t, "x", "EdDSA").sign(t, claims())); !errors.Is(err, auth.ErrKey) {
		t.Errorf("an unknown key, which must not wait: %v", err)
	}
	mock.Add(time.Hour)
	if _, err := dev.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("after its lifetime: %v", err)
	}
}

func TestConfig(t *testing.T) {
	good := auth.Config{Issuer: "i", Audience: "a", Algorithms: []string{"RS256"}, JWKS: "https://id.example/jwks"}
	if _, err := auth.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*auth.Config){
		"no issuer":     func(c *auth.Config) { c.Issuer = "" },
		"no audience":   func(c *auth.Config) { c.Audience = "" },
		"no algorithms": func(c *auth.Config) { c.Algorithms = nil },
		"none":          func(c *auth.Config) { c.Algorithms = []string{"RS256", "none"} },
		"HS256":         func(c *auth.Config) { c.Algorithms = []string{"HS256"} },
		"no JWKS":       func(c *auth.Config) { c.JWKS = "" },
		"http":          func(c *auth.Config) { c.JWKS = "http://user:hunter2@id.example/jwks" },
		"http, 127.x":   func(c *auth.Config) { c.JWKS = "http://127.0.0.1.example/jwks" },
		"ftp":           func(c *auth.Config) { c.JWKS = "ftp://id.example/jwks" },
		"no host":       func(c *auth.Config) { c.JWKS = "https:///jwks" },
		"broken":        func(c *auth.Config) { c.JWKS = "https://user:hunter2@id.example:x/" },
		"negative":      func(c *auth.Config) { c.Leeway = -1 },
	} {
		c := good
		change(&c)
		if _, err := auth.New(c); !errors.Is(err, auth.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromRequest(t *testing.T) {
	for _, test := range []struct {
		headers []string
		token   string
		err     error
	}{
		{nil, "", auth.ErrMissing},
		{[]string{"Bearer a.b.c"}, "a.b.c", nil},
		{[]string{"bEARER   a.b.c"}, "a.b.c", nil},
		{[]string{""}, "", auth.ErrMalformed},
		{[]string{"Bearer"}, "", auth.ErrMalformed},
		{[]string{"Bearer "}, "", auth.ErrMalformed},
		{[]string{"Basic dXNlcjpwdw=="}, "", auth.ErrMalformed},
		{[]string{"Bearer a", "Bearer b"}, "", auth.ErrMalformed},
	} {
		r, _ := http.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = test.headers
		token, err := auth.FromRequest(r)
		if token != test.token || !errors.Is(err, test.err) {
			t.Errorf("%q: %q, %v", test.headers, token, err)
		}
	}
	if got := auth.Challenge(auth.ErrMissing); got != `Bearer realm="cvv"` {
		t.Error(got)
	}
	expired, signature := auth.Challenge(auth.ErrExpired), auth.Challenge(auth.ErrSignature)
	if expired != signature || expired != `Bearer realm="cvv", error="invalid_token"` {
		t.Error(expired, signature)
	}
}

func TestCanceled(t *testing.T) {
	ed := newKey(t, "ed", "EdDSA")
	s := newServer(t, jwks(ed.jwk()))
	v := start(t, auth.Config{JWKS: s.URL, Algorithms: []string{"EdDSA"}, Clock: fixed{clock.New()}, MinRefresh: time.Hour, Refresh: 2 * time.Hour, Patience: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Authenticate(ctx, ed.sign(t, claims(), "kid", "new")); !errors.Is(err, context.Canceled) || errors.Is(err, auth.ErrToken) {
		t.Error(err)
	}
}

func FuzzAuthenticate(f *testing.F) {
	dev := auth.NewDev(nil)
	f.Add(dev.Mint(auth.Caller{Subject: "s"}, time.Hour)[:60])
	f.Add(raw(`{"alg":"none"}`, payload, func(string) []byte { return nil }))
	f.Add(raw(`{"alg":"EdDSA","kid":"development"}`, payload, func(string) []byte { return make([]byte, 64) }))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := dev.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrToken) {
			t.Errorf("accepted, or refused without a reason: %v", err)
		}
	})
}

// A token that is remembered, and tokens that come for the first time.
func BenchmarkAuthenticate(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		k := newKey(b, "k", alg)
		s := newServer(b, jwks(k.jwk()))
		c := auth.Config{JWKS: s.URL, Algorithms: []string{alg}, Clock: fixed{clock.New()}}
		tokens := make([]string, 2000)
		for i := range tokens {
			tokens[i] = k.sign(b, claims("jti", i))
		}
		run := func(b *testing.B, tokens []string) {
			var v *auth.Verifier
			b.ReportAllocs()
			for i := range b.N {
				if v == nil || len(tokens) > 1 && i%len(tokens) == 0 {
					b.StopTimer()
					v = start(b, c)
					b.StartTimer()
				}
				if _, err := v.Authenticate(b.Context(), tokens[i%len(tokens)]); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(alg+"/first", func(b *testing.B) { run(b, tokens) })
		b.Run(alg+"/again", func(b *testing.B) { run(b, tokens[:1]) })
	}
}
