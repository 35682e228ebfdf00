package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

// strict returns a verifier of tokens that the key signs.
func strict(t *testing.T, k jwttest.Key, o auth.Options) *auth.Verifier {
	t.Helper()
	o.Clock = fixed{clock.New()}
	i := auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{k.Algorithm}}
	return must.Get(auth.NewStatic(i, jwttest.JWKS(k.JWK()), o))(t)
}

func TestAuthenticate_LimitsLifetime(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	v := strict(t, k, auth.Options{MaxLifetime: time.Hour, Leeway: time.Minute})
	unlimited := strict(t, k, auth.Options{})
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, test := range map[string]struct {
		issued, expires any
		want            error
		claim           string
	}{
		"an hour":             {at(0), at(time.Hour), nil, ""},
		"an hour and more":    {at(0), at(time.Hour + time.Second), auth.ErrLifetime, "exp"},
		"most of it is over":  {at(-23 * time.Hour), at(time.Hour), auth.ErrLifetime, "exp"},
		"without iat":         {nil, at(time.Minute), auth.ErrClaims, "iat"},
		"iat before 1970":     {-1, at(time.Minute), auth.ErrClaims, "iat"},
		"iat ahead":           {at(time.Minute), at(time.Hour + time.Minute), nil, ""},
		"iat too far ahead":   {at(2 * time.Minute), at(time.Hour), auth.ErrEarly, "iat"},
		"expired before it":   {at(time.Minute), at(-2 * time.Minute), auth.ErrExpired, "exp"},
		"a hundred years":     {at(0), at(100 * 8766 * time.Hour), auth.ErrLifetime, "exp"},
		"three hundred years": {at(0), 13_000_000_000, auth.ErrClaims, "exp"},
	} {
		t.Run(name, func(t *testing.T) {
			token := k.Sign(t, claims("iat", test.issued, "exp", test.expires, "nbf", nil))
			_, err := v.Authenticate(t.Context(), token)
			var wrong *auth.ClaimError
			if !errors.Is(err, test.want) || errors.As(err, &wrong) && wrong.Claim != test.claim {
				t.Error(err)
			}
			if errors.Is(test.want, auth.ErrLifetime) {
				accepts(t, unlimited, token, nil)
			}
		})
	}
}

func TestAuthenticate_RequiresTokenType(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"} {
		v := strict(t, k, auth.Options{TokenType: typ})
		for sent, want := range map[string]error{
			"at+jwt": nil, "at+JWT": nil, "application/at+jwt": nil, "APPLICATION/at+jwt": nil,
			"": auth.ErrType, "JWT": auth.ErrType, "jwt": auth.ErrType, "ID": auth.ErrType, "dpop+jwt": auth.ErrType,
			"text/at+jwt": auth.ErrType, "application/application/at+jwt": auth.ErrType, "at+jwt ": auth.ErrType, "at+jwt;v=1": auth.ErrType,
		} {
			accepts(t, v, k.Sign(t, claims(), "typ", sent), want)
		}
	}
	v := strict(t, k, auth.Options{TokenType: "at+jwt"})
	accepts(t, v, k.SignWith(t, `{"alg":"EdDSA","kid":"k","typ":["at+jwt"]}`, payload), auth.ErrType)
	accepts(t, strict(t, k, auth.Options{}), k.Sign(t, claims(), "typ", "anything"), nil)
}

// TestAuthenticate_RefusesAmbiguousAndAbsurdPayloads: all of them are properly signed.
func TestAuthenticate_RefusesAmbiguousAndAbsurdPayloads(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	v := strict(t, k, auth.Options{})
	const base = `"iss":"https://id.example","aud":"cvv","sub":"s"`
	year2200 := "7289654399" // 2200-12-31T23:59:59Z
	for payload, want := range map[string]error{
		`{` + base + `,"exp":4000000000}`:                                         nil,
		`{` + base + `,"exp":` + year2200 + `}`:                                   nil,
		`{` + base + `,"exp":4000000000,"sub":"root"}`:                            auth.ErrMalformed,
		`{` + base + `,"exp":4000000000,"s\u0075b":"root"}`:                       auth.ErrMalformed,
		`{` + base + `,"exp":1,"exp":4000000000}`:                                 auth.ErrMalformed,
		`{` + base + `,"exp":4000000000,"scope":"a","scope":"b"}`:                 auth.ErrMalformed,
		`{` + base + `,"exp":4000000000,"act":{"sub":"a","sub":"b"}}`:             auth.ErrMalformed,
		`{` + base + `,"exp":4000000000,"x":[{"a":1},{"a":1}]}`:                   nil,
		`{` + base + `,"exp":4000000000,"SUB":"root"}`:                            nil, // another name
		`{` + base + `,"exp":4000000000,"x":"` + "\xff" + `"}`:                    auth.ErrMalformed,
		`{` + base + `,"exp":4000000000}{}`:                                       auth.ErrMalformed,
		`null`:                                                                    auth.ErrClaims,
		`{` + base + `,"exp":7289654400}`:                                         auth.ErrClaims,
		`{` + base + `,"exp":4000000000.5}`:                                       auth.ErrClaims,
		`{` + base + `,"exp":4000000000.0}`:                                       auth.ErrClaims,
		`{` + base + `,"exp":4e9}`:                                                auth.ErrClaims,
		`{` + base + `,"exp":1e300}`:                                              auth.ErrClaims,
		`{` + base + `,"exp":1e400}`:                                              auth.ErrClaims,
		`{` + base + `,"exp":-4000000000}`:                                        auth.ErrClaims,
		`{` + base + `,"exp":0}`:                                                  auth.ErrClaims,
		`{` + base + `,"exp":99999999999999999999999999}`:                         auth.ErrClaims,
		`{` + base + `,"exp":"4000000000"}`:                                       auth.ErrClaims,
		`{` + base + `,"exp":true}`:                                               auth.ErrClaims,
		`{` + base + `,"exp":[4000000000]}`:                                       auth.ErrClaims,
		`{` + base + `,"exp":null}`:                                               auth.ErrClaims,
		`{` + base + `,"exp":4000000000,"nbf":-1}`:                                auth.ErrClaims,
		`{` + base + `,"exp":4000000000,"nbf":1.5}`:                               auth.ErrClaims,
		`{` + base + `,"exp":4000000000,"nbf":1e300}`:                             auth.ErrClaims,
		`{` + base + `,"exp":4000000000,"iat":-1e300}`:                            auth.ErrClaims,
		`{` + base + `,"exp":4000000000,"iat":"now"}`:                             auth.ErrClaims,
		`{` + base + `,"exp":4000000000,"iat":null,"nbf":null}`:                   nil,
		`{` + base + `,"exp":4000000000,"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJ"}}`: auth.ErrBound,
		`{` + base + `,"exp":4000000000,"cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5"}}`: auth.ErrBound,
		`{` + base + `,"exp":4000000000,"cnf":{}}`:                                auth.ErrBound,
		`{` + base + `,"exp":4000000000,"cnf":""}`:                                auth.ErrBound,
		`{` + base + `,"exp":4000000000,"cnf":null}`:                              nil,
	} {
		t.Run(strings.TrimPrefix(payload, `{`+base+`,`), func(t *testing.T) {
			accepts(t, v, k.SignRaw(t, payload), want)
		})
	}
}

func TestAuthenticate_RefusesAmbiguousHeaders(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	v := strict(t, k, auth.Options{})
	for header, want := range map[string]error{
		`{"alg":"EdDSA","kid":"k"}`:                       nil,
		`{"alg":"EdDSA","kid":"other","kid":"k"}`:         auth.ErrMalformed,
		`{"alg":"EdDSA","kid":"k","kid":"k"}`:             auth.ErrMalformed,
		`{"alg":"none","alg":"EdDSA","kid":"k"}`:          auth.ErrMalformed,
		`{"alg":"EdDSA","kid":"k","x":{"a":1,"a":2}}`:     auth.ErrMalformed,
		`{"alg":"EdDSA","kid":"k","\u006bid":"k"}`:        auth.ErrMalformed,
		`{"alg":"EdDSA","kid":"k","crit":null}`:           auth.ErrMalformed,
		`{"alg":"EdDSA","kid":"k","typ":"a","typ":"JWT"}`: auth.ErrMalformed,
	} {
		t.Run(header, func(t *testing.T) { accepts(t, v, k.SignWith(t, header, payload), want) })
	}
}
