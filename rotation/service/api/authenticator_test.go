package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
)

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
	records := s.audit.records(t)
	if len(records) != 2 || records[0]["by"] != "session" || records[0]["subject"] != "alice" || records[1]["subject"] != "bob" {
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
