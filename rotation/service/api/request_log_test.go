package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
)

func TestRequestID(t *testing.T) {
	s := newSite(t, setup{})
	seen := map[string]bool{}
	for id, kept := range map[string]bool{
		"r-1": true, "8e03978e-40d5-43dd-bc93-6894a57f9324": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, `a"b`: false, "ä": false, "a,b": false, ".a": false,
		"4111111111111111": false, "4111-1111-1111-1111": false, "123": false, "1_2:3": false,
	} {
		a := s.do(request{method: "GET", path: "/", header: []string{"X-Request-Id", id}})
		got := a.header.Get("X-Request-Id")
		if (got == id) != kept || seen[got] {
			t.Errorf("%q became %q", id, got)
		}
		seen[got] = true
	}
	if strings.Contains(s.log.String(), "4111111111111111") || strings.Contains(s.log.String(), "4111-1111") {
		t.Error("what could be a PAN is in the log")
	}
}

func TestAccessLog(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	s.do(request{method: "GET", path: "/v1/cards/a/cvv/rotation?slots=1", header: []string{"X-Request-Id", "r-1"}})
	s.do(request{method: "GET", path: "/nowhere", token: "-", header: []string{"X-Request-Id", "r-2"}})
	s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: "x", header: []string{"X-Request-Id", "r-3"}})
	got := s.log.records(t)
	for _, r := range got {
		delete(r, "time")
	}
	if diff := cmp.Diff([]map[string]any{
		{"level": "INFO", "msg": "request", "method": "GET", "route": "/v1/cards/{cardId}/cvv/rotation", "status": 200.0, "took": 0.0, "request_id": "r-1", "subject": "svc-1", "card": "a"},
		{"level": "INFO", "msg": "request", "method": "GET", "route": "", "status": 404.0, "took": 0.0, "request_id": "r-2", "subject": "", "card": "", "problem": "no-such-resource"},
		{"level": "INFO", "msg": "request", "method": "GET", "route": "/v1/cards/{cardId}/cvv", "status": 401.0, "took": 0.0, "request_id": "r-3", "subject": "", "card": "a", "problem": "unauthenticated", "reason": auth.ErrMalformed.Error()},
	}, got); diff != "" {
		t.Error(diff)
	}
	for _, x := range []api.Exchange{{Method: "GET", Route: "/v1/cards/{cardId}/cvv/rotation", Status: 200}, {Method: "GET", Status: 404}} {
		if _, ok := s.seen.Load(x); !ok {
			t.Errorf("the observer was not told of %+v", x)
		}
	}
}

// panics is an authenticator that panics with a secret.
type panics struct{ value any }

func (p panics) AuthenticateRequest(*http.Request) (auth.Caller, error) { panic(p.value) }

func TestPanic(t *testing.T) {
	s := newSite(t, setup{auth: panics{"4111111111111111"}})
	a := s.do(request{method: "GET", path: "/v1/cards/a/cvv"})
	a.want(t, 500, "internal-error")
	log := s.log.String()
	if strings.Contains(log+a.raw, "4111111111111111") || !strings.Contains(log, "api.(*handler).authorize authorize.go:") || !strings.Contains(log, `"panic":{"type":"string"`) || !strings.Contains(log, a.text("request_id")) {
		t.Errorf("the log does not say where, or says too much: %s", log)
	}
}

// failing is a store that fails with the error.
type failing struct {
	store.Store
	err error
}

func (f failing) Card(context.Context, string) (store.Card, error) { return store.Card{}, f.err }

func TestStoreErrors(t *testing.T) {
	for err, want := range map[error]int{
		store.ErrClosed: 503,
		fmt.Errorf("x: %w", context.DeadlineExceeded): 503,
		store.ErrSchema:                    500,
		errors.New("4111111111111111"):     500,
		&engine.FieldError{Field: "Store"}: 500,
	} {
		s := newSite(t, setup{store: failing{memory.New(newClock()), err}})
		a := s.do(request{method: "GET", path: "/v1/cards/a/cvv"})
		a.want(t, want)
		if strings.Contains(a.raw, err.Error()) {
			t.Error(a.raw)
		}
		if log := s.log.String(); !strings.Contains(log, err.Error()) {
			t.Errorf("the log has no reason: %s", log)
		}
	}
}

// The handler lives under a prefix, and what is around it learns the route.
func TestMounted(t *testing.T) {
	patterns := make(chan string, 1) // an answer may arrive before its handler returns
	s := newSite(t, setup{wrap: func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/cvv/", http.StripPrefix("/cvv", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			patterns <- r.Pattern
		})))
		return mux
	}})
	s.card("a", 0)
	resp, err := s.client.Get(s.url + "/cvv/openapi.json")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(err, resp.StatusCode)
	}
	resp.Body.Close()
	if pattern := <-patterns; pattern != "GET /openapi.json" {
		t.Errorf("pattern %q", pattern)
	}
	req, _ := http.NewRequest("POST", s.url+"/cvv/v1/cards/a/cvv/rotate", nil)
	req.Header.Set("Authorization", "Bearer "+s.token(allScopes...))
	resp, err = s.client.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(err, resp.StatusCode)
	}
	resp.Body.Close()
	if pattern := <-patterns; pattern != "POST /v1/cards/{cardId}/cvv/rotate" {
		t.Errorf("pattern %q", pattern)
	}
}

// Whatever is sent wherever: CVV, PAN and token are in no log, no problem, and
// no answer but the one that reveals.
func TestLeaks(t *testing.T) {
	const pan, cvv = "4929123456789012", "86420"
	for name, generator := range map[string]engine.Generator{"derived": derived(t), "random": engine.Random(new(cvvgen.Random), keyring(t))} {
		t.Run(name, func(t *testing.T) {
			var engineLog logs
			s := newSite(t, setup{engine: engine.Options{Generator: generator, Logger: engineLog.logger()}})
			s.unjudged = true
			token := s.token(append(allScopes, api.ScopeAnyAccount)...)
			var answers strings.Builder
			right := cvv
			send := func(r request) {
				if r.token == "" {
					r.token = token
				}
				a := s.do(r)
				if a.status == 200 && r.method == "GET" && strings.HasSuffix(r.path, "/cvv") {
					right = a.text("cvv")
					return
				}
				fmt.Fprintln(&answers, a.raw, a.header)
			}
			register := `{"pan":"` + pan + `","expiry":"2027-11","account_id":"acme"}`
			if name == "random" {
				send(request{method: "PUT", path: "/v1/cards/a", body: `{"account_id":"acme"}`})
			}
			send(request{method: "PUT", path: "/v1/cards/a", body: register})
			send(request{method: "GET", path: "/v1/cards/a/cvv"})
			bodies := []string{
				register, `{"cvv":"` + cvv + `"}`, `{"cvv":` + cvv + `}`, `{"cvv":"` + right + `"}`, `{"pan":` + pan + `}`,
				`{"` + pan + `":1}`, `{"` + cvv + `":1,"` + cvv + `":1}`, `{"service_code":"` + pan + `"}`, `{"service_code":"` + cvv + `"}`,
				`{"cvv_first_rotation_date":"` + pan + `","cvv_rotation_interval_hours":1}`, `{"cvv_rotation_interval_hours":` + pan + `}`,
				`{"expiry":"` + pan + `"}`, `{"account_id":"` + pan + ` "}`, `{"compromised":` + pan + `}`, `{"cvv":"` + pan, pan, `"` + cvv + `"`,
				`{"cvv":"` + cvv + `` + "\xff" + `"}`, token, `{"x":"` + token + `"}`, `{"cvv_rotation_interval_hours":24}`, `{}`, ``,
			}
			for _, op := range api.Operations() {
				path := strings.Replace(op.Route, "{cardId}", "a", 1)
				for _, body := range bodies {
					send(request{method: op.Method, path: path, body: body})
					send(request{method: op.Method, path: path, body: body, token: "-"})
				}
				for _, secret := range []string{pan, cvv, token} {
					send(request{method: op.Method, path: path + "?" + secret})
					send(request{method: op.Method, path: path + "?cvv=" + secret})
					send(request{method: op.Method, path: path + "?slots=" + secret})
					send(request{method: op.Method, path: path, header: []string{"X-Request-Id", secret}})
					send(request{method: op.Method, path: path, header: []string{"Content-Type", secret}, body: "{}"})
					send(request{method: op.Method, path: path + "/" + secret})
					send(request{method: op.Method, path: path, token: token + "x"})
					send(request{method: op.Method, path: path, header: []string{"Authorization", "Basic " + secret}})
					send(request{method: op.Method, path: path, header: []string{"Idempotency-Key", secret + "é"}})
					if secret != cvv {
						send(request{method: op.Method, path: strings.Replace(op.Route, "{cardId}", secret, 1)})
					}
				}
				s.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: memory.ErrInjected} })
				send(request{method: op.Method, path: path})
				s.store.SetFaults(nil)
			}
			for where, text := range map[string]string{"log": s.log.String(), "audit log": s.audit.String(), "engine's log": engineLog.String(), "answers": answers.String()} {
				secrets := map[string]string{"PAN": pan, "CVV presented": cvv, "token": token, "token's signature": token[strings.LastIndex(token, ".")+1:]}
				if name == "derived" { // five digits, which are hardly anything else
					secrets["CVV"] = right
				}
				for what, secret := range secrets {
					if found := regexp.MustCompile(`(^|[^0-9])` + regexp.QuoteMeta(secret) + `($|[^0-9])`).FindStringIndex(text); found != nil {
						t.Errorf("%s in the %s: …%s…", what, where, text[max(0, found[0]-80):min(len(text), found[1]+20)])
					}
				}
			}
			if len(right) != map[string]int{"derived": 5, "random": 3}[name] {
				t.Errorf("a CVV of %d digits", len(right))
			}
		})
	}
}
