package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/auth"
)

// panics is an authenticator that panics with a secret.
type panics struct{ value any }

func (p panics) AuthenticateRequest(*http.Request) (auth.Caller, error) { panic(p.value) }

func TestHandler_PanicIsLoggedWithoutItsValue(t *testing.T) {
	s := newSite(t, setup{auth: panics{"4111111111111111"}})
	a := s.do(request{method: "GET", path: "/v1/cards/a/cvv"})
	a.want(t, 500, "internal-error")
	log := s.log.String()
	if strings.Contains(log+a.raw, "4111111111111111") || !strings.Contains(log, "api.(*handler).authorize authorize.go:") || !strings.Contains(log, `"panic":{"type":"string"`) || !strings.Contains(log, a.text("request_id")) {
		t.Errorf("the log lacks the position, or contains the value: %s", log)
	}
}

// failing is a store that returns an error.
type failing struct {
	store.Store
	err error
}

func (f failing) Card(context.Context, string) (store.Card, error) { return store.Card{}, f.err }

func TestHandler_ErrorReasonIsOnlyLogged(t *testing.T) {
	for err, want := range map[error]int{
		store.ErrClosed: 503,
		fmt.Errorf("x: %w", context.DeadlineExceeded): 503,
		store.ErrSchema:                    500,
		errors.New("4111111111111111"):     500,
		&engine.FieldError{Field: "Store"}: 500,
	} {
		t.Run(err.Error(), func(t *testing.T) {
			s := newSite(t, setup{store: failing{memory.New(memory.Options{Clock: newClock()}), err}})
			a := s.do(request{method: "GET", path: "/v1/cards/a/cvv"})
			a.want(t, want)
			if strings.Contains(a.raw, err.Error()) {
				t.Error(a.raw)
			}
			if log := s.log.String(); !strings.Contains(log, err.Error()) {
				t.Errorf("the log lacks the reason: %s", log)
			}
		})
	}
}

// TestHandler_ServesUnderAPrefix: it also reports the route in Request.Pattern.
func TestHandler_ServesUnderAPrefix(t *testing.T) {
	patterns := make(chan string, 1) // a response may arrive before its handler returns
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

func TestHandler_UnknownRouteIsAProblem(t *testing.T) {
	s := newSite(t, setup{})
	for _, test := range []struct{ method, path, kind, allow string }{
		{"GET", "/", "no-such-resource", ""},
		{"GET", "/v1/cards", "no-such-resource", ""},
		{"GET", "/v2/cards/a/cvv", "no-such-resource", ""},
		{"GET", "/V1/cards/a/cvv", "no-such-resource", ""},
		{"GET", "/v1/cards/a/cvv/x", "no-such-resource", ""},
		{"GET", "/v1/cards/a", "method-not-allowed", "PUT"},
		{"GET", "/v1/cards/a/cvv/rotate", "method-not-allowed", "POST"},
		{"PUT", "/v1/cards/a/cvv/rotation", "method-not-allowed", "DELETE, GET, HEAD, PATCH"},
		{"POST", "/v1/cards/a/cvv", "method-not-allowed", "GET, HEAD"},
		{"OPTIONS", "/v1/cards/a/cvv", "method-not-allowed", "GET, HEAD"},
		{"TRACE", "/v1/cards/a/cvv", "method-not-allowed", "GET, HEAD"},
		{"SECRET4111111111111111", "/v1/cards/a/cvv", "method-not-allowed", "GET, HEAD"},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			status := 404
			if test.allow != "" {
				status = 405
			}
			a := s.do(request{method: test.method, path: test.path, token: "-"})
			a.want(t, status, test.kind)
			if a.header.Get("Allow") != test.allow {
				t.Errorf("%s %s: Allow: %q", test.method, test.path, a.header.Get("Allow"))
			}
		})
	}
	if strings.Contains(s.log.String(), "4111111111111111") {
		t.Error("the log contains an unusual method")
	}
	s.card("a", 0)
	a := s.do(request{method: "HEAD", path: "/v1/cards/a/cvv"})
	if a.status != 200 || a.raw != "" || len(s.audit.Records(t)) != 1 {
		t.Error("HEAD must be GET without a body, and audited", a.status, a.raw)
	}
}

// TestEndpoint_ServesLifeOfACard calls every operation as a client.
func TestEndpoint_ServesLifeOfACard(t *testing.T) {
	s := newSite(t, setup{})
	const card = "/v1/cards/card-7c1e"

	s.do(request{method: "POST", path: card + "/cvv/rotate"}).want(t, 404, "no-such-card")
	a := s.do(request{method: "PUT", path: card, body: `{"cvv_rotation_interval_hours":24}`})
	a.want(t, 201)
	if a.text("cvv_next_rotation_date") != "2026-11-23T15:00:00Z" || a.text("account_id") != "acme" || a.number("cvv_version") != 1 {
		t.Error(a.raw)
	}
	s.do(request{method: "PUT", path: card}).want(t, 200)

	s.clock.add(3 * time.Hour)
	a = s.do(request{method: "POST", path: card + "/cvv/rotate", body: `{"service_code":"201"}`})
	a.want(t, 200)
	if want := `{"success":true,"card_id":"card-7c1e","cvv_rotation_type":"MANUAL","rescheduled":true,"reason":"scheduled","scenario":0,"cvv_version":2,"cvv_rotated_at":"2026-11-22T18:00:00Z","cvv_next_rotation_date":"2026-11-23T18:00:00Z","service_code":"201"}`; a.raw != want {
		t.Errorf("got  %s\nwant %s", a.raw, want)
	}
	s.clock.add(time.Minute)
	a = s.do(request{method: "POST", path: card + "/cvv/rotate"})
	if a.status != 200 || a.body["rescheduled"] != false || a.text("reason") != "guard" || a.number("scenario") != 3 || a.number("cvv_version") != 3 {
		t.Error(a.raw)
	}

	a = s.do(request{method: "GET", path: card + "/cvv/rotation?slots=3"})
	a.want(t, 200)
	if slots := a.body["cvv_next_rotation_dates"].([]any); len(slots) != 3 || slots[2] != "2026-11-25T18:00:00Z" {
		t.Error(a.raw)
	}
	if forced := a.body["forced_call"].(map[string]any); forced["reason"] != "guard" || forced["scenario"] != 3.0 {
		t.Error(a.raw)
	}
	a = s.do(request{method: "PATCH", path: card + "/cvv/rotation", body: `{"cvv_rotation_interval_hours":12,"cvv_first_rotation_date":"2026-11-23T03:00:00+00:00"}`})
	a.want(t, 200)
	if a.number("cvv_rotation_interval_hours") != 12 || a.text("cvv_next_rotation_date") != "2026-11-23T03:00:00Z" {
		t.Error(a.raw)
	}
	s.do(request{method: "PATCH", path: card + "/cvv/rotation", body: `{"cvv_rotation_interval_hours":6,"spread":true}`}).want(t, 200)
	a = s.do(request{method: "DELETE", path: card + "/cvv/rotation"})
	a.want(t, 204)
	if a.raw != "" {
		t.Error(a.raw)
	}
	a = s.do(request{method: "GET", path: card + "/cvv/rotation"})
	if a.body["cvv_next_rotation_date"] != nil || a.body["cvv_rotation_interval_hours"] != nil || len(a.body["cvv_next_rotation_dates"].([]any)) != 0 {
		t.Error(a.raw)
	}

	right, wrong := s.cvv("card-7c1e")
	a = s.do(request{method: "GET", path: card + "/cvv"})
	a.want(t, 200)
	if a.text("cvv") != right || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("not the CVV, or to be cached: %v", a.header)
	}
	for _, test := range []struct {
		cvv, verdict string
		accepted     bool
	}{{right, "current", true}, {wrong, "wrong", false}, {wrong, "wrong", false}, {wrong, "wrong", false}, {right, "locked", false}} {
		a = s.do(request{method: "POST", path: card + "/cvv/verify", body: `{"cvv":"` + test.cvv + `"}`})
		if a.status != 200 || a.text("verdict") != test.verdict || a.body["accepted"] != test.accepted {
			t.Errorf("want %s: %s", test.verdict, a.raw)
		}
	}
	a = s.do(request{method: "GET", path: card + "/cvv/rotation"})
	if a.text("locked_at") == "" || a.number("tries") != 3 {
		t.Error(a.raw)
	}
	s.do(request{method: "POST", path: card + "/cvv/unlock"}).want(t, 204)
	a = s.do(request{method: "POST", path: card + "/cvv/verify", body: `{"cvv":"` + right + `"}`})
	if a.text("verdict") != "current" {
		t.Error(a.raw)
	}
	a = s.do(request{method: "GET", path: "/openapi.json", token: "-"})
	if a.status != 200 || a.text("openapi") != "3.1.0" {
		t.Error(a.status)
	}
}
