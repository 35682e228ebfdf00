package auth_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
)

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
