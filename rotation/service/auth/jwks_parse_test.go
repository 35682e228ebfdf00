package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

// static returns a verifier with the key set whose entries are JSON texts.
func static(t *testing.T, o auth.Options, entries ...string) (*auth.Verifier, error) {
	t.Helper()
	o.Clock = fixed{clock.New()}
	issuer := auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{"RS256", "ES256", "ES384", "EdDSA"}}
	return auth.NewStatic(issuer, []byte(`{"keys":[`+strings.Join(entries, ",")+`]}`), o)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	return string(must.Get(json.Marshal(v))(t))
}

// TestKeySet_SkipsOddEntries: whatever the other entries are, the good key is used.
func TestKeySet_SkipsOddEntries(t *testing.T) {
	k := jwttest.New(t, "k", "ES256")
	b64 := strings.Repeat("A", 43)
	for name, test := range map[string]struct{ entry, reason string }{
		"a string":               {`"x"`, "malformed"},
		"a number":               {`7`, "malformed"},
		"null":                   {`null`, "malformed"},
		"true":                   {`true`, "malformed"},
		"an array":               {`[{}]`, "malformed"},
		"deeply nested":          {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "malformed"},
		"an empty object":        {`{}`, "unsupported"},
		"kty a number":           {`{"kty":7}`, "malformed"},
		"kid a number":           {`{"kty":"RSA","kid":7}`, "malformed"},
		"n an array":             {`{"kty":"RSA","n":["AQAB"],"e":"AQAB"}`, "malformed"},
		"use an array":           {`{"kty":"RSA","use":["sig"]}`, "malformed"},
		"alg an object":          {`{"kty":"RSA","alg":{}}`, "malformed"},
		"key_ops a string":       {`{"kty":"RSA","key_ops":"verify"}`, "malformed"},
		"key_ops with a number":  {`{"kty":"RSA","key_ops":["verify",7]}`, "malformed"},
		"key_ops with null":      {`{"kty":"RSA","key_ops":["verify",null]}`, "malformed"},
		"a member twice":         {`{"kty":"RSA","kty":"EC"}`, "malformed"},
		"a nested member twice":  {`{"kty":"RSA","ext":{"a":1,"a":2}}`, "malformed"},
		"ML-DSA":                 {`{"kty":"AKP","alg":"ML-DSA-65","pub":"` + b64 + `"}`, "unsupported"},
		"secp256k1":              {`{"kty":"EC","crv":"secp256k1","x":"` + b64 + `","y":"` + b64 + `"}`, "unsupported"},
		"Ed448":                  {`{"kty":"OKP","crv":"Ed448","x":"` + b64 + `"}`, "unsupported"},
		"X25519":                 {`{"kty":"OKP","crv":"X25519","x":"` + b64 + `"}`, "unsupported"},
		"an unknown type":        {`{"kty":"rsa","n":"AQAB","e":"AQAB"}`, "unsupported"},
		"an encryption key":      {`{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"}`, "purpose"},
		"an encryption key, alg": {`{"kty":"RSA","alg":"RSA-OAEP","n":"AQAB","e":"AQAB"}`, "unsupported"},
		"EC without y":           {`{"kty":"EC","crv":"P-256","x":"` + b64 + `"}`, "invalid"},
		"EC off the curve":       {`{"kty":"EC","crv":"P-256","x":"` + b64 + `","y":"` + b64 + `"}`, "invalid"},
		"Ed25519 too short":      {`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, "invalid"},
		"RSA not Base64":         {`{"kty":"RSA","n":"!","e":"AQAB"}`, "invalid"},
		"RSA short":              {`{"kty":"RSA","n":"` + strings.Repeat("_", 170) + `","e":"AQAB"}`, "weak"},
		"symmetric":              {`{"kty":"oct","k":"AAAA"}`, "symmetric"},
		"private EC":             {`{"kty":"EC","crv":"P-256","x":"` + b64 + `","y":"` + b64 + `","d":"` + b64 + `"}`, "private"},
		"private, d a number":    {`{"kty":"EC","d":7}`, "private"},
		"private RSA by primes":  {`{"kty":"RSA","n":"AQAB","e":"AQAB","p":"AQAB"}`, "private"},
	} {
		t.Run(name, func(t *testing.T) {
			var log logtest.Buffer
			v := must.Get(static(t, auth.Options{Logger: log.Text()}, test.entry, jsonOf(t, k.JWK()), test.entry))(t)
			accepts(t, v, k.Sign(t, claims()), nil)
			want := map[string]int{"used": 1, "malformed": 0, "private": 0, "symmetric": 0, "purpose": 0, "unsupported": 0, "invalid": 0, "weak": 0}
			want[test.reason] = 2
			must.Equal(t, want, v.KeyCounts())
			if got := log.String(); !strings.Contains(got, "skipped=2") || !strings.Contains(got, "keys[0]: ") || !strings.Contains(got, "keys[2]: ") {
				t.Error(got)
			}
			if _, err := static(t, auth.Options{}, test.entry); !errors.Is(err, auth.ErrConfig) || !strings.Contains(err.Error(), "keys[0]: ") {
				t.Errorf("without a usable key: %v", err)
			}
		})
	}
}

// TestKeySet_UsesKeyAccordingToItsMembers changes members of a good key.
func TestKeySet_UsesKeyAccordingToItsMembers(t *testing.T) {
	k := jwttest.New(t, "k", "ES256")
	token := k.Sign(t, claims())
	for name, test := range map[string]struct {
		change map[string]any
		used   bool
	}{
		"x5c a string":           {map[string]any{"x5c": "MIIB"}, true}, // members that are not read do not matter
		"x5t of another":         {map[string]any{"x5t": "AAAA", "x5t#S256": "AAAA"}, true},
		"x5u elsewhere":          {map[string]any{"x5u": "https://attacker.example/cert"}, true},
		"other members null":     {map[string]any{"key_ops": nil, "d": nil, "k": nil, "oth": nil, "x5c": nil, "n": nil}, true},
		"no use, no alg":         {map[string]any{"use": nil, "alg": nil}, true},
		"use sig":                {map[string]any{"use": "sig"}, true},
		"use enc":                {map[string]any{"use": "enc"}, false},
		"use SIG":                {map[string]any{"use": "SIG"}, false},
		"another alg":            {map[string]any{"alg": "ES384"}, true},
		"alg none":               {map[string]any{"alg": "none"}, false},
		"key_ops verify":         {map[string]any{"use": nil, "key_ops": []string{"verify"}}, true},
		"key_ops sign, verify":   {map[string]any{"key_ops": []string{"sign", "verify"}}, true},
		"key_ops all, no use":    {map[string]any{"use": nil, "key_ops": []string{"sign", "verify", "wrapKey", "encrypt"}}, true},
		"key_ops all, use sig":   {map[string]any{"key_ops": []string{"sign", "verify", "wrapKey", "encrypt"}}, false},
		"key_ops verify, enc":    {map[string]any{"use": "enc", "key_ops": []string{"verify"}}, false},
		"key_ops sign":           {map[string]any{"use": nil, "key_ops": []string{"sign"}}, false},
		"key_ops encrypt":        {map[string]any{"use": nil, "key_ops": []string{"encrypt"}}, false},
		"key_ops deriveKey, sig": {map[string]any{"key_ops": []string{"deriveKey"}}, false},
		"key_ops Verify":         {map[string]any{"use": nil, "key_ops": []string{"Verify"}}, false},
		"key_ops empty":          {map[string]any{"use": nil, "key_ops": []string{}}, false},
		"key_ops verify twice":   {map[string]any{"use": nil, "key_ops": []string{"verify", "verify"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			entry := map[string]any{}
			for member, value := range k.JWK() {
				entry[member] = value
			}
			maps.Copy(entry, test.change)
			v, err := static(t, auth.Options{}, jsonOf(t, entry))
			if used := err == nil; used != test.used {
				t.Fatal(err)
			}
			if !test.used {
				return
			}
			want := error(nil)
			if entry["alg"] == "ES384" {
				want = auth.ErrKey
			}
			accepts(t, v, token, want)
			accepts(t, v, k.Sign(t, claims(), "kid", ""), want)
		})
	}
}

func TestKeySet_DuplicateKeyIDsAreAlternatives(t *testing.T) {
	first, second := jwttest.New(t, "the same", "ES256"), jwttest.New(t, "the same", "ES256")
	other, stranger := jwttest.New(t, "the same", "RS256"), jwttest.New(t, "the same", "ES256")
	v := must.Get(static(t, auth.Options{}, jsonOf(t, first.JWK()), jsonOf(t, other.JWK()), jsonOf(t, second.JWK())))(t)
	for _, k := range []jwttest.Key{first, second, other} {
		accepts(t, v, k.Sign(t, claims()), nil)
	}
	accepts(t, v, stranger.Sign(t, claims()), auth.ErrSignature)
	accepts(t, v, jwttest.New(t, "the same", "EdDSA").Sign(t, claims()), auth.ErrKey)
}

// TestKeySet_CountsUsableKeysOnly: many entries of other types are no attack.
func TestKeySet_CountsUsableKeysOnly(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	var log logtest.Buffer
	entries := append(strings.Split(strings.Repeat("7 ", 5000)+"7", " "), jsonOf(t, k.JWK()))
	v := must.Get(static(t, auth.Options{Logger: log.Text()}, entries...))(t)
	accepts(t, v, k.Sign(t, claims()), nil)
	if counts := v.KeyCounts(); counts["malformed"] != 5001 || len(log.String()) > 2000 {
		t.Errorf("%v, logged in %d bytes", counts, len(log.String()))
	}
}

// TestKeySet_KeyIDIsNotWaitedForIfKnown: a token with a known kid and another
// algorithm asks for no refresh.
func TestKeySet_KeyIDIsNotWaitedForIfKnown(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	s := newServer(t, jwttest.JWKS(k.JWK()))
	c := configFor(s.URL)
	c.RefreshWait, c.MinRefresh, c.Refresh = time.Hour, time.Hour, 2*time.Hour
	v := start(t, c)
	accepts(t, v, jwttest.New(t, "k", "ES256").Sign(t, claims()), auth.ErrKey)
	if n := s.served.Load(); n != 1 {
		t.Errorf("%d requests of the key set", n)
	}
}

func TestKeyCounts_IsEmptyBeforeFirstKeySet(t *testing.T) {
	v := must.Get(auth.New(auth.Issuer{Name: "i", Audience: "a", Algorithms: []string{"RS256"}}, "https://id.example/", auth.Options{}))(t)
	if got := fmt.Sprint(v.KeyCounts()); got != "map[]" {
		t.Error(got)
	}
}

func TestKeySet_IsAnObjectWithAnArrayOfKeys(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	issuer := auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{"EdDSA"}}
	key := jsonOf(t, k.JWK())
	for set, ok := range map[string]bool{
		`{"keys":[` + key + `]}`: true, `{"version":1,"keys":[` + key + `],"expires":"never"}`: true,
		`{"Keys":[` + key + `]}`: false, `[` + key + `]`: false, key: false, `{"keys":` + key + `}`: false, `{"keys":{"k":` + key + `}}`: false,
		`{"keys":null}`: false, `{"keys":[]}`: false, `{}`: false, `null`: false, ``: false, `{"keys":[` + key + `]`: false, `{"keys":[` + key + `]}x`: false,
	} {
		_, err := auth.NewStatic(issuer, []byte(set), auth.Options{Clock: fixed{clock.New()}})
		if (err == nil) != ok || err != nil && !errors.Is(err, auth.ErrConfig) {
			t.Errorf("%.60s: %v", set, err)
		}
	}
}

// FuzzKeySet checks that no entry keeps a good key from being used.
func FuzzKeySet(f *testing.F) {
	k := jwttest.New(f, "k", "EdDSA")
	good := string(must.Get(json.Marshal(k.JWK()))(f))
	token := k.Sign(f, claims())
	f.Add(`"x"`)
	f.Add(`{"kty":"RSA","key_ops":"verify"}`)
	f.Add(`{"kty":"EC","crv":"P-256","kid":"k","x":"AAAA","y":"AAAA"}`)
	f.Add(`{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"},7,[[{}]],{"kty":"OKP","crv":"Ed448","x":""}`)
	f.Add(good)
	f.Fuzz(func(t *testing.T, entries string) {
		if len(entries) > 10_000 || strings.TrimSpace(entries) == "" || !json.Valid([]byte(`[`+entries+`]`)) {
			return
		}
		v, err := static(t, auth.Options{}, entries, good)
		if err != nil {
			t.Fatal(err)
		}
		if caller, err := v.Authenticate(t.Context(), token); caller.Subject != "svc-1" || err != nil {
			t.Error(err)
		}
	})
}
