package api_test

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

// claims returns valid claims with changes.
func claims(change jwt.MapClaims) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": "https://id.example", "aud": "cvv", "sub": "svc-1", "account_id": "acme",
		"exp": start.Add(time.Hour).Unix(), "scope": strings.Join(allScopes, " "),
	}
	maps.Copy(c, change)
	return c
}

func verifier(t testing.TB, jwks, algorithm string, o auth.Options) *auth.Verifier {
	t.Helper()
	if o.Clock == nil {
		o.Clock = newClock()
	}
	v := must.Get(auth.New(auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{algorithm}}, jwks, o))(t)
	done := make(chan struct{})
	go func() { defer close(done); v.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
	return v
}

// TestAuthorize_InvalidTokensGetTheSameResponse: the response does not say why, and no
// card changes.
func TestAuthorize_InvalidTokensGetTheSameResponse(t *testing.T) {
	before, after, stranger := jwttest.New(t, "a", "RS256"), jwttest.New(t, "b", "RS256"), jwttest.New(t, "a", "RS256")
	var keys atomic.Pointer[[]byte]
	publish := func(k jwttest.Key) {
		set := jwttest.JWKS(k.JWK())
		keys.Store(&set)
	}
	publish(before)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(*keys.Load()) }))
	t.Cleanup(issuer.Close)
	v := verifier(t, issuer.URL, "RS256", auth.Options{MinRefresh: 10 * time.Millisecond})
	s := newSite(t, setup{auth: v})
	s.card("a", 0)
	rotate := func(token string) reply {
		return s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: token})
	}
	ready := rotate(before.Sign(t, claims(nil)))
	for ready.status == 503 { // until the first key set is loaded
		ready = rotate(before.Sign(t, claims(nil)))
	}
	ready.want(t, 200)

	b64 := base64.RawURLEncoding.EncodeToString
	payload := strings.Split(before.Sign(t, claims(nil)), ".")[1]
	hs := jwt.New(jwt.SigningMethodHS256)
	hs.Claims, hs.Header["kid"] = jwt.MapClaims{"sub": "x"}, "a"
	confused := must.Get(hs.SignedString(before.Private.(*rsa.PrivateKey).N.Bytes()))(t)
	var first string
	for name, token := range map[string]string{
		"expired":   before.Sign(t, claims(jwt.MapClaims{"exp": start.Unix()})),
		"early":     before.Sign(t, claims(jwt.MapClaims{"nbf": start.Add(time.Second).Unix()})),
		"issuer":    before.Sign(t, claims(jwt.MapClaims{"iss": "https://evil.example"})),
		"audience":  before.Sign(t, claims(jwt.MapClaims{"aud": "other"})),
		"no exp":    before.Sign(t, claims(jwt.MapClaims{"exp": nil})),
		"stranger":  stranger.Sign(t, claims(nil)),
		"confused":  confused,
		"unsigned":  b64([]byte(`{"alg":"none"}`)) + "." + payload + ".",
		"kid":       before.Sign(t, claims(nil), "kid", "../b"),
		"not a JWT": "x",
		"basic":     "x y",
	} {
		t.Run(name, func(t *testing.T) {
			a := rotate(token)
			a.want(t, 401, "unauthenticated")
			delete(a.body, "request_id")
			delete(a.header, "X-Request-Id")
			delete(a.header, "Date")
			got := fmt.Sprint(a.body, a.header)
			if first != "" && got != first {
				t.Errorf("the response differs: %s, want %s", got, first)
			}
			first = got
			if strings.Contains(s.log.String(), token) && len(token) > 10 {
				t.Error("the log contains the token")
			}
		})
	}
	a := s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: "-"})
	a.want(t, 401, "unauthenticated")
	if a.header.Get("WWW-Authenticate") != `Bearer realm="cvv"` {
		t.Error(a.header)
	}

	publish(after) // the issuer changes its key
	rotate(after.Sign(t, claims(nil))).want(t, 200)
	rotate(before.Sign(t, claims(nil))).want(t, 401)
	if r, err := s.engine.Show(t.Context(), ref("a"), 0); err != nil || r.Version != 3 {
		t.Errorf("version %d, want 3: %v", r.Version, err)
	}
}

func TestAuthorize_Answers503BeforeFirstKeySet(t *testing.T) {
	s := newSite(t, setup{auth: verifier(t, t.TempDir()+"/none", "RS256", auth.Options{})})
	s.do(request{method: "GET", path: "/v1/cards/a/cvv"}).want(t, 503, "unavailable")
}

func TestAuthorize_RefusesCardsOfOtherAccounts(t *testing.T) {
	s := newSite(t, setup{})
	s.card("mine", 0)
	mint := func(account string, scopes ...string) string {
		return s.dev.Token(auth.Caller{Subject: "x", Account: account, Scopes: scopes}, time.Hour)
	}
	other := mint("other", allScopes...)
	any := mint("", append(allScopes, api.ScopeAnyAccount)...)
	for _, op := range api.Operations() {
		if op.Scope == "" {
			continue
		}
		r := request{method: op.Method, path: strings.Replace(op.Route, "{cardId}", "mine", 1)}
		switch {
		case op.Method == "PATCH":
			r.body = `{"cvv_rotation_interval_hours":1}`
		case strings.HasSuffix(op.Route, "verify"):
			r.body = `{"cvv":"123"}`
		case op.Method == "PUT":
			r.body = `{"account_id":"acme"}`
		}
		r.token = other
		s.do(r).want(t, 403, "other-account")
		r.token = mint("", allScopes...)
		s.do(r).want(t, 403, "scope-missing")
		r.token = mint("a/b", allScopes...)
		s.do(r).want(t, 403, "scope-missing")
		r.token = any
		if a := s.do(r); a.status > 204 {
			t.Error(a.raw)
		}
	}
	put := func(path, body, token string) reply {
		return s.do(request{method: "PUT", path: "/v1/cards/" + path, body: body, token: token})
	}
	put("new", `{"account_id":"other"}`, "").want(t, 403, "other-account")
	put("new", `{"account_id":"acme"}`, "").want(t, 201)
	put("theirs", ``, any).want(t, 400, "invalid-request", "body account_id")
	put("theirs", `{"account_id":"other"}`, any).want(t, 201)
	put("theirs", ``, "").want(t, 403, "other-account")
	put("theirs", ``, other).want(t, 200)
	put("theirs", `{"account_id":"acme"}`, any).want(t, 403, "other-account")
	put("x", `{"account_id":"a/b"}`, any).want(t, 400, "invalid-request", "body account_id")
}

// sessions is an embedder's own login: the header Session names the caller.
type sessions map[string]auth.Caller

type sessionError struct{}

func (sessionError) Error() string     { return "no such session" }
func (sessionError) Is(err error) bool { return err == auth.ErrUnauthenticated }
func (sessionError) Challenge() string { return `Session realm="cards"` }

func (s sessions) AuthenticateRequest(r *http.Request) (auth.Caller, error) {
	switch id := r.Header.Get("Session"); id {
	case "unreachable":
		return auth.Caller{}, fmt.Errorf("sessions: %w", auth.ErrNotReady)
	case "broken":
		return auth.Caller{}, errors.New("sessions: broken")
	case "anonymous":
		return auth.Caller{Scopes: allScopes}, nil
	default:
		caller, ok := s[id]
		if !ok {
			return auth.Caller{Subject: "eve"}, sessionError{}
		}
		return caller, nil
	}
}

func TestNew_AcceptsAnotherLoginThanBearerTokens(t *testing.T) {
	long := strings.Repeat("a", 256)
	s := newSite(t, setup{auth: sessions{
		"long":      {Subject: long, Account: "acme", Scopes: allScopes},
		"two lines": {Subject: "bob\nforged", Account: "acme", Scopes: allScopes},
		"1":         {Subject: "alice", Account: "acme", Scopes: allScopes, By: "session"},
		"2":         {Subject: "bob", Account: "acme", Scopes: []string{api.ScopeRead}, By: "session"},
	}})
	s.card("a", time.Hour)
	rotate := func(session string) reply {
		return s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: "-", header: []string{"Session", session}})
	}
	rotate("1").want(t, 200)
	for _, test := range []struct {
		session   string
		status    int
		problem   string
		challenge string
	}{
		{"unknown", 401, "unauthenticated", `Session realm="cards"`},
		{"2", 403, "scope-missing", ""},
		{"unreachable", 503, "unavailable", ""},
		{"broken", 500, "internal-error", ""},
		{"anonymous", 500, "internal-error", ""},
		{"long", 500, "internal-error", ""},
		{"two lines", 500, "internal-error", ""},
	} {
		t.Run(test.session, func(t *testing.T) {
			a := rotate(test.session)
			a.want(t, test.status, test.problem)
			if got := a.header.Get("WWW-Authenticate"); got != test.challenge {
				t.Errorf("challenge %q, want %q", got, test.challenge)
			}
		})
	}
	if log := s.log.String(); strings.Count(log, "the authenticator returned an unusable caller: auth: the subject ") != 3 || strings.Contains(log, long) || strings.Contains(log, "forged") {
		t.Error(log)
	}
	records := s.audit.Records(t)
	if len(records) != 3 || records[0]["by"] != "session" || records[0]["subject"] != "alice" || records[1]["detail"] != "no such session" || records[2]["subject"] != "bob" {
		t.Error(records)
	}
}

func TestServer_RefusesMissingHandler(t *testing.T) {
	for name, h := range map[string]http.Handler{"nil": nil, "nil of a type": (*http.ServeMux)(nil)} {
		t.Run(name, func(t *testing.T) {
			if _, err := api.Server("", h); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestNew_RefusesMissingArguments(t *testing.T) {
	s := newSite(t, setup{})
	for name, build := range map[string]func() (http.Handler, error){
		"no engine": func() (http.Handler, error) { return api.New(nil, s.dev, api.Options{}) },
		"nil engine of a type": func() (http.Handler, error) {
			return api.New((*engine.Engine)(nil), s.dev, api.Options{})
		},
		"nil verifier":     func() (http.Handler, error) { return api.New(s.engine, (*auth.Verifier)(nil), api.Options{}) },
		"no authenticator": func() (http.Handler, error) { return api.New(s.engine, nil, api.Options{}) },
		"negative timeout": func() (http.Handler, error) { return api.New(s.engine, s.dev, api.Options{Timeout: -1}) },
		"no burst": func() (http.Handler, error) {
			return api.New(s.engine, s.dev, api.Options{PerCard: api.Rate{PerSecond: 1}})
		},
		"no rate": func() (http.Handler, error) {
			return api.New(s.engine, s.dev, api.Options{PerCaller: api.Rate{Burst: 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := build(); err == nil {
				t.Error("accepted")
			}
		})
	}
}
