package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
)

// TestNewVerifier_PassesSettings: each setting changes what the verifier accepts.
func TestNewVerifier_PassesSettings(t *testing.T) {
	k := jwttest.New(t, "k", "RS256")
	now := time.Now().Unix()
	for setting, test := range map[string]struct {
		claim string // that the test changes
		value any
		want  error // with the setting; nil: refused without it
	}{
		`max_lifetime = "1m"`:    {"exp", now + 3600, auth.ErrLifetime},
		`token_type = "at+jwt"`:  {"x", 1, auth.ErrType},
		`leeway = "2m"`:          {"nbf", now + 60, nil},
		`subject_claim = "name"`: {"sub", nil, nil},
		`audience = "other"`:     {"aud", "other", nil},
		`issuer = "other"`:       {"iss", "other", nil},
	} {
		t.Run(setting, func(t *testing.T) {
			claims := jwt.MapClaims{"iss": "i", "aud": "a", "sub": "s", "name": "n", "iat": now, "exp": now + 30, test.claim: test.value}
			check := func(more string) error {
				defaults := map[string]string{"issuer": "i", "audience": "a", "jwks_url": "https://id.example/"}
				name, _, _ := strings.Cut(more, " ")
				delete(defaults, name)
				d := documented{settings: "[auth]\n" + more + "\n"}
				for name, value := range defaults {
					d.settings += name + " = \"" + value + "\"\n"
				}
				_, err := d.verifier(t, k).Authenticate(t.Context(), k.Sign(t, claims))
				return err
			}
			if err := check(setting); !errors.Is(err, test.want) {
				t.Errorf("with the setting: %v, want %v", err, test.want)
			}
			if err := check(""); (err == nil) == (test.want == nil) {
				t.Errorf("without the setting: %v", err)
			}
		})
	}
}
