package auth_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

// reading returns a verifier of tokens that the key signs, and that have these claims.
func reading(t *testing.T, k jwttest.Key, c auth.Claims, clients ...string) *auth.Verifier {
	t.Helper()
	i := auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{k.Algorithm}}
	if clients != nil {
		i.Audience, i.ClientIDs = "", clients
	}
	return must.Get(auth.NewStatic(i, jwttest.JWKS(k.JWK()), auth.Options{Clock: fixed{clock.New()}, Claims: c}))(t)
}

// TestAuthenticate_ReadsIntegerAccountAsItsDigits signs payloads that were written by
// hand, because the spelling of the number matters.
func TestAuthenticate_ReadsIntegerAccountAsItsDigits(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	v := reading(t, k, auth.Claims{})
	long := strings.Repeat("9", 400)
	for value, want := range map[string]string{
		`7`: "7", `0`: "0", `9007199254740993`: "9007199254740993", `18446744073709551616`: "18446744073709551616",
		long: long, `"7"`: "7", `"007"`: "007", `"1e3"`: "1e3", `null`: "", `""`: "",
		`1e3`: "refused", `1E3`: "refused", `1.0`: "refused", `10.`: "refused", `-1`: "refused", `-0`: "refused", `1e400`: "refused",
		`true`: "refused", `[7]`: "refused", `{"id":7}`: "refused", `["acme"]`: "refused",
	} {
		t.Run(value[:min(len(value), 20)], func(t *testing.T) {
			token := k.SignRaw(t, `{"iss":"https://id.example","aud":"cvv","sub":"s","exp":4000000000,"account_id":`+value+`}`)
			caller, err := v.Authenticate(t.Context(), token)
			if want == "refused" {
				if !errors.Is(err, auth.ErrClaims) && !errors.Is(err, auth.ErrMalformed) {
					t.Errorf("got the account %q, %v", caller.Account, err)
				}
				return
			}
			must.Do(t, err)
			must.Equal(t, want, caller.Account)
		})
	}
}

// TestAuthenticate_NamesWrongClaimAndNoValue: the log has the error.
func TestAuthenticate_NamesWrongClaimAndNoValue(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	own := auth.Claims{Account: "tid", Subject: "oid", Scope: "roles"}
	const value = "hunter2"
	for name, test := range map[string]struct {
		change []any
		want   error
		claim  string
	}{
		"issuer":             {[]any{"iss", value}, auth.ErrIssuer, "iss"},
		"no issuer":          {[]any{"iss", nil}, auth.ErrClaims, "iss"},
		"issuer a list":      {[]any{"iss", []string{"https://id.example"}}, auth.ErrClaims, "iss"},
		"audience":           {[]any{"aud", value}, auth.ErrAudience, "aud"},
		"audiences":          {[]any{"aud", []string{value, "CVV"}}, auth.ErrAudience, "aud"},
		"no audience":        {[]any{"aud", nil}, auth.ErrClaims, "aud"},
		"no audiences":       {[]any{"aud", []string{}}, auth.ErrClaims, "aud"},
		"audience a number":  {[]any{"aud", []any{"cvv", 7}}, auth.ErrClaims, "aud"},
		"audience with null": {[]any{"aud", []any{"cvv", nil}}, auth.ErrClaims, "aud"},
		"audiences in words": {[]any{"aud", "cvv other"}, auth.ErrAudience, "aud"},
		"expired":            {[]any{"exp", 1}, auth.ErrExpired, "exp"},
		"no expiry":          {[]any{"exp", nil}, auth.ErrClaims, "exp"},
		"not yet":            {[]any{"nbf", now.Unix() + 1}, auth.ErrEarly, "nbf"},
		"from the future":    {[]any{"iat", now.Unix() + 1}, auth.ErrEarly, "iat"},
		"iat a string":       {[]any{"iat", value}, auth.ErrClaims, "iat"},
		"no subject":         {[]any{"oid", nil}, auth.ErrClaims, "oid"},
		"subject a number":   {[]any{"oid", 7}, auth.ErrClaims, "oid"},
		"subject a list":     {[]any{"oid", []string{value}}, auth.ErrClaims, "oid"},
		"account a list":     {[]any{"tid", []string{value}}, auth.ErrClaims, "tid"},
		"scopes an object":   {[]any{"roles", map[string]any{value: true}}, auth.ErrClaims, "roles"},
		"scopes of numbers":  {[]any{"roles", []any{"cvv:read", 7}}, auth.ErrClaims, "roles"},
		"scopes with null":   {[]any{"roles", []any{"cvv:read", nil}}, auth.ErrClaims, "roles"},
	} {
		t.Run(name, func(t *testing.T) {
			change := append([]any{"tid", "acme", "oid", "o", "roles", []string{"cvv:read"}}, test.change...)
			_, err := reading(t, k, own).Authenticate(t.Context(), k.Sign(t, claims(change...)))
			var wrong *auth.ClaimError
			if !errors.As(err, &wrong) || wrong.Claim != test.claim || !errors.Is(err, test.want) || !errors.Is(err, auth.ErrUnauthenticated) {
				t.Fatal(err)
			}
			if strings.Contains(err.Error(), value) || !strings.HasSuffix(err.Error(), ": "+test.claim) || wrong.Challenge() != auth.ErrClaims.Challenge() {
				t.Error(err, wrong.Challenge())
			}
		})
	}
}

// TestAuthenticate_ReadsOneClaimWithoutFallback: a claim that another issuer would use
// is not read instead.
func TestAuthenticate_ReadsOneClaimWithoutFallback(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	none := []string{}
	for name, test := range map[string]struct {
		names  auth.Claims
		change []any
		want   auth.Caller // no subject: refused
	}{
		"scope an array":           {auth.Claims{Scope: "scope"}, []any{"scope", []string{"a", "b c"}}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"a", "b c"}}},
		"scope a string":           {auth.Claims{Scope: "scope"}, []any{"scope", " a  b "}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"a", "b"}}},
		"other white space":        {auth.Claims{}, []any{"scope", "a\tb\u00a0c\nd\u2003e f"}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"a\tb\u00a0c\nd\u2003e", "f"}}},
		"no fallback to scp":       {auth.Claims{Scope: "scope"}, []any{"scope", nil, "scp", "a"}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: none}},
		"no fallback to scope":     {auth.Claims{Scope: "scp"}, nil, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: none}},
		"permissions":              {auth.Claims{Scope: "permissions"}, []any{"permissions", []string{"a"}}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"a"}}},
		"no fallback to sub":       {auth.Claims{Subject: "uid"}, nil, auth.Caller{}},
		"no fallback of accounts":  {auth.Claims{Account: "tid"}, nil, auth.Caller{Subject: "svc-1", Scopes: []string{"cvv:rotate", "cvv:read"}}},
		"prefix":                   {auth.Claims{ScopePrefix: "api/"}, []any{"scope", "api/a b other/c api/ xapi/d"}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"a"}}},
		"prefix, array":            {auth.Claims{Scope: "scp", ScopePrefix: "api://x/"}, []any{"scp", []string{"api://x/a", "b"}}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"a"}}},
		"names in other case":      {auth.Claims{}, []any{"SUB", "root", "Account_Id", "evil", "Scope", "all"}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"cvv:rotate", "cvv:read"}}},
		"a dot is no path":         {auth.Claims{Account: "org.id"}, []any{"org", map[string]any{"id": "evil"}, "org.id", "acme"}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"cvv:rotate", "cvv:read"}}},
		"default: scope no array":  {auth.Claims{}, []any{"scope", []string{"a"}}, auth.Caller{}},
		"default: scope, then scp": {auth.Claims{}, []any{"scope", nil, "scp", []string{"a"}}, auth.Caller{Subject: "svc-1", Account: "acme", Scopes: []string{"a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reading(t, k, test.names).Authenticate(t.Context(), k.Sign(t, claims(test.change...)))
			if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (test.want.Subject != "") {
				t.Error(err, diff)
			}
		})
	}
}

func TestAuthenticate_AcceptsListedClientsOfTokensWithoutAudience(t *testing.T) {
	k := jwttest.New(t, "k", "EdDSA")
	v := reading(t, k, must.Get(auth.Profile("cognito"))(t), "one", "two")
	for name, test := range map[string]struct {
		change []any
		want   error
	}{
		"the first":          {[]any{"client_id", "one"}, nil},
		"the second":         {[]any{"client_id", "two"}, nil},
		"another":            {[]any{"client_id", "three"}, auth.ErrAudience},
		"in other case":      {[]any{"client_id", "ONE"}, auth.ErrAudience},
		"several":            {[]any{"client_id", "one two"}, auth.ErrAudience},
		"a list":             {[]any{"client_id", []string{"one"}}, auth.ErrClaims},
		"none":               {nil, auth.ErrClaims},
		"empty":              {[]any{"client_id", ""}, auth.ErrClaims},
		"with our audience":  {[]any{"client_id", "one", "aud", "cvv"}, auth.ErrAudience},
		"with its own id":    {[]any{"client_id", "one", "aud", "one"}, auth.ErrAudience},
		"an ID token":        {[]any{"aud", "one"}, auth.ErrAudience},
		"azp in its place":   {[]any{"azp", "one"}, auth.ErrClaims},
		"with no audiences":  {[]any{"client_id", "one", "aud", []string{}}, auth.ErrAudience},
		"with audience null": {[]any{"client_id", "one", "aud", json.RawMessage("null")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			accepts(t, v, k.Sign(t, claims(append([]any{"aud", nil}, test.change...)...)), test.want)
		})
	}
}

func TestProfile_NamesClaims(t *testing.T) {
	for _, name := range auth.Profiles() {
		c := must.Get(auth.Profile(name))(t)
		if c.Account == "" || c.Subject == "" || c.Audience == "" || c.Scope == "" || c.ScopePrefix != "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c, err := auth.Profile(""); c != (auth.Claims{}) || err != nil {
		t.Error(c, err)
	}
	if _, err := auth.Profile("Entra"); !errors.Is(err, auth.ErrConfig) || !strings.Contains(err.Error(), "auth0, cognito, entra, keycloak, okta") {
		t.Error(err)
	}
}

func TestNew_RequiresAudienceOrClients(t *testing.T) {
	for name, test := range map[string]struct {
		audience string
		clients  []string
		claim    string
		ok       bool
	}{
		"audience":               {"a", nil, "", true},
		"clients":                {"", []string{"c"}, "client_id", true},
		"neither":                {"", nil, "", false},
		"neither, client_id":     {"", nil, "client_id", false},
		"both":                   {"a", []string{"c"}, "", false},
		"both, client_id":        {"a", []string{"c"}, "client_id", false},
		"clients without a name": {"", []string{"c", ""}, "client_id", false},
		"clients, but aud":       {"", []string{"c"}, "", false},
		"another claim":          {"a", nil, "azp", false},
	} {
		t.Run(name, func(t *testing.T) {
			i := auth.Issuer{Name: "i", Audience: test.audience, ClientIDs: test.clients, Algorithms: []string{"RS256"}}
			_, err := auth.New(i, "https://id.example/", auth.Options{Claims: auth.Claims{Audience: test.claim}})
			if (err == nil) != test.ok || err != nil && !errors.Is(err, auth.ErrConfig) {
				t.Error(err)
			}
		})
	}
}
