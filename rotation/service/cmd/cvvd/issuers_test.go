package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

// documented is a section of docs/issuers.md.
type documented struct {
	name, settings string
	claims         jwt.MapClaims
}

// documentedIssuers reads the settings and tokens of docs/issuers.md.
func documentedIssuers(t *testing.T) (all []documented) {
	t.Helper()
	page := string(must.Get(os.ReadFile("../../../../docs/issuers.md"))(t))
	block := func(language, text string) string {
		_, text, _ = strings.Cut(text, "\n```"+language+"\n")
		text, _, _ = strings.Cut(text, "\n```\n")
		return text
	}
	for section := range strings.SplitSeq(page, "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		d := documented{name: name, settings: block("toml", text)}
		if d.settings == "" {
			continue
		}
		decoder := json.NewDecoder(strings.NewReader(block("json", text)))
		decoder.UseNumber()
		must.Do(t, decoder.Decode(&d.claims))
		for name, value := range map[string]int64{"iat": -60, "nbf": -60, "auth_time": -60, "exp": 3600} {
			if d.claims[name] != nil {
				d.claims[name] = time.Now().Unix() + value
			}
		}
		all = append(all, d)
	}
	return all
}

// verifier builds the verifier as the daemon does, with the key in place of the
// issuer's. The settings pass the check as they are in the document.
func (d *documented) verifier(t *testing.T, k jwttest.Key) *auth.Verifier {
	t.Helper()
	cfg := must.Get(config.Parse([]byte(d.settings)))(t)
	must.Do(t, cfg.Check(t.Context(), "auth"))
	cfg.Auth.JWKSURL, cfg.Auth.JWKSFile = "", filepath.Join(t.TempDir(), "jwks.json")
	must.Do(t, os.WriteFile(cfg.Auth.JWKSFile, jwttest.JWKS(k.JWK()), 0o600))
	v := must.Get(newVerifier(&cfg, slog.New(slog.DiscardHandler)))(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	until(t, "the key set is loaded", v.Ready)
	return v
}

// TestIssuers_DocumentedTokensAreAccepted: and they are refused, naming the claim,
// without what makes them acceptable.
func TestIssuers_DocumentedTokensAreAccepted(t *testing.T) {
	const tenant = "11111111-2222-3333-4444-555555555555"
	want := map[string]struct {
		subject, account, scopes string
		audience                 string // the claim
	}{
		"Keycloak":               {"8f9c2a34-3a54-4f6e-9d4e-6d2a7f3f0b1c", "acme", "profile email cvv:read cvv:rotate", "aud"},
		"Entra ID, applications": {"3b7a1c9e-6d4f-4a8e-b2c5-1f0e9d8c7b6a", tenant, "cvv:read cvv:rotate", "aud"},
		"Entra ID, users":        {"c0ffee00-1111-4222-8333-444455556666", tenant, "cvv:read cvv:unlock", "aud"},
		"Auth0":                  {"k3xPq9Zt7LrVwB1nYcD5mA8sF0hJ2gQe@clients", "acme", "cvv:read cvv:rotate", "aud"},
		"Auth0 with RBAC":        {"auth0|5f7c8ec7c33c6c004bbafe82", "acme", "cvv:read cvv:unlock", "aud"},
		"Cognito":                {"1example23456789", "1example23456789", "cvv:read cvv:rotate", "client_id"},
		"Okta":                   {"0oa1b2c3d4e5f6g7h8i9", "0oa1b2c3d4e5f6g7h8i9", "cvv:read cvv:rotate", "aud"},
		"Another issuer":         {"wallet", "4711", "cvv:read cvv:rotate", "aud"},
	}
	k := jwttest.New(t, "k", "RS256")
	for _, d := range documentedIssuers(t) {
		t.Run(d.name, func(t *testing.T) {
			v := d.verifier(t, k)
			caller := must.Get(v.Authenticate(t.Context(), k.Sign(t, d.claims)))(t)
			w, ok := want[d.name]
			if !ok || caller.Subject != w.subject || caller.Account != w.account || !slices.Equal(caller.Scopes, strings.Fields(w.scopes)) {
				t.Errorf("%+v, want %+v", caller, w)
			}
			for claim, value := range map[string]any{w.audience: "another", "iss": "https://attacker.example", "exp": 1} {
				spoilt := maps.Clone(d.claims)
				spoilt[claim] = value
				var wrong *auth.ClaimError
				if _, err := v.Authenticate(t.Context(), k.Sign(t, spoilt)); !errors.As(err, &wrong) || wrong.Claim != claim {
					t.Errorf("%s %v: %v", claim, value, err)
				}
			}
			delete(want, d.name)
		})
	}
	for name := range want {
		t.Errorf("docs/issuers.md has no section %q", name)
	}
}

// TestIssuers_EntraReadsOneClaimOfScopes: an application has no rights where users are
// expected, and the other way round.
func TestIssuers_EntraReadsOneClaimOfScopes(t *testing.T) {
	k := jwttest.New(t, "k", "RS256")
	all := map[string]documented{}
	for _, d := range documentedIssuers(t) {
		all[d.name] = d
	}
	entra, users := all["Entra ID, applications"], all["Entra ID, users"]
	for _, test := range []struct{ settings, token documented }{{entra, users}, {users, entra}} {
		caller := must.Get(test.settings.verifier(t, k).Authenticate(t.Context(), k.Sign(t, test.token.claims)))(t)
		if len(caller.Scopes) > 0 {
			t.Errorf("%s with a token of %s: %q", test.settings.name, test.token.name, caller.Scopes)
		}
	}
}

// TestServe_ReadsClaimsOfProfile sends a token of an issuer to the daemon, and looks
// for the wrong claim's name in its log.
func TestServe_ReadsClaimsOfProfile(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t, "CVVD_AUTH_AUDIENCE=", "CVVD_AUTH_PROFILE=cognito", "CVVD_AUTH_CLIENT_IDS=app-1,app-2",
		"CVVD_AUTH_ACCOUNT_CLAIM=n", "CVVD_AUTH_SUBJECT_CLAIM=username", "CVVD_AUTH_SCOPE_PREFIX=api/"), "serve").serving()
	send := func(client string) (int, string) {
		unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"iss": issuer, "client_id": client, "username": "u", "n": 42,
			"scope": "api/cards:register", "exp": time.Now().Add(time.Hour).Unix()})
		unsigned.Header["kid"] = "k1"
		return p.send("PUT", p.pci+"/v1/cards/a", must.Get(unsigned.SignedString(signer()))(t), "")
	}
	if status, body := send("app-2"); status != 201 || !strings.Contains(body, `"account_id":"42"`) {
		t.Error(status, body)
	}
	if status, body := send("app-secret"); status != 401 || strings.Contains(body, "client_id") {
		t.Error(status, body)
	}
	p.wait(p.log, `"reason":"auth: the token is for another audience: client_id"`)
	if strings.Contains(p.log.String(), "app-secret") {
		t.Error("the log has the value of the claim")
	}
}
