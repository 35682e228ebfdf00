package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/sim/must"
)

func TestOpenAPI_HasTheRoutesAndScopesOfTheHandler(t *testing.T) {
	ours, theirs := map[string]string{}, map[string]string{}
	for _, op := range api.Operations() {
		ours[op.Method+" "+op.Route] = op.Scope
	}
	ids := map[any]bool{}
	for path, methods := range openapi().paths {
		for method, op := range methods {
			scope := ""
			for _, s := range op["security"].([]any) {
				scope = s.(map[string]any)["bearer"].([]any)[0].(string)
			}
			theirs[method+" "+path] = scope
			ids[op["operationId"]] = true
		}
	}
	must.Equal(t, ours, theirs)
	if len(ids) != len(ours) {
		t.Error("an operationId is not unique")
	}
	scopes := openapi().raw["components"].(map[string]any)["securitySchemes"].(map[string]any)["bearer"].(map[string]any)["description"].(string)
	for _, scope := range append(allScopes, api.ScopeAnyAccount) {
		if !strings.Contains(scopes, scope+" (") {
			t.Errorf("the document does not describe %s", scope)
		}
	}
}

func schema(name string) map[string]any {
	return openapi().raw["components"].(map[string]any)["schemas"].(map[string]any)[name].(map[string]any)
}

func TestOpenAPI_HasTheProblemTypesAndTitles(t *testing.T) {
	var ours []string
	for name := range api.ProblemTypes() {
		ours = append(ours, name)
	}
	var theirs []string
	for _, name := range schema("Problem")["properties"].(map[string]any)["type"].(map[string]any)["enum"].([]any) {
		theirs = append(theirs, name.(string))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	must.Equal(t, ours, theirs)
	for name, r := range openapi().raw["components"].(map[string]any)["responses"].(map[string]any) {
		for _, media := range r.(map[string]any)["content"].(map[string]any) {
			for _, e := range media.(map[string]any)["examples"].(map[string]any) {
				value := e.(map[string]any)["value"].(map[string]any)
				got := [2]any{int(value["status"].(float64)), value["title"]}
				if diff := cmp.Diff(api.ProblemTypes()[value["type"].(string)], got); diff != "" {
					t.Error(name, diff)
				}
			}
		}
	}
}

// TestOpenAPI_HasTheMembersOfRequestsAndResponses compares request schemas with the
// members that the 400 for an unknown member lists.
func TestOpenAPI_HasTheMembersOfRequestsAndResponses(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	for path, methods := range openapi().paths {
		for method, op := range methods {
			if body, ok := op["requestBody"].(map[string]any); ok {
				ref := body["content"].(map[string]any)["application/json"].(map[string]any)["schema"]
				sc := follow(ref)
				var theirs []string
				if properties, ok := sc["properties"].(map[string]any); ok {
					theirs = slices.Sorted(maps.Keys(properties))
				}
				a := s.do(request{method: method, path: strings.Replace(path, "{cardId}", "a", 1), body: `{"x":1}`})
				a.want(t, 400, "invalid-request")
				var ours []string
				detail := a.body["errors"].([]any)[0].(map[string]any)["detail"].(string)
				if list, ok := strings.CutPrefix(detail, "is unknown: it must be one of "); ok {
					ours = strings.Split(list, ", ")
				}
				slices.Sort(ours)
				if diff := cmp.Diff(ours, theirs); diff != "" {
					t.Error(method, path, diff)
				}
				if sc["additionalProperties"] != false {
					t.Errorf("%s %s: the schema allows unknown members", method, path)
				}
			}
		}
	}
	for _, name := range []string{"Rotated", "Schedule", "Revealed", "Verdict"} {
		t.Run(name, func(t *testing.T) {
			sc := schema(name)
			var required []string
			for _, r := range sc["required"].([]any) {
				required = append(required, r.(string))
			}
			slices.Sort(required)
			if diff := cmp.Diff(slices.Sorted(maps.Keys(sc["properties"].(map[string]any))), required); diff != "" || sc["additionalProperties"] != false {
				t.Errorf("%s: a member is optional, or unknown members are allowed: %s", name, diff)
			}
		})
	}
}

// hasBody lists the methods that accept a body.
var hasBody = []string{"POST", "PUT", "PATCH"}

// TestOpenAPI_HasEveryStatusThatOccurs provokes every documented status of every
// operation, and sends the examples. site.judge fails the test for other statuses.
func TestOpenAPI_HasEveryStatusThatOccurs(t *testing.T) {
	seen := map[string]bool{}
	s := newSite(t, setup{})
	derived := newSite(t, setup{cvvs: derived(t)})
	limited := newSite(t, setup{api: api.Options{PerCard: api.Rate{PerSecond: 0.5, Burst: 1}}})
	slow := newSite(t, setup{api: api.Options{Timeout: 20 * time.Millisecond}})
	for _, s := range []*site{s, derived, limited, slow} {
		s.statuses = func(method, path string, status int) { seen[fmt.Sprint(method, " ", path, " ", status)] = true }
	}
	s.card("a", time.Hour)
	limited.card("a", time.Hour)
	slow.card("a", time.Hour)
	never := make(chan struct{})
	slow.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Stall: never} })

	for _, op := range api.Operations() {
		path := strings.Replace(op.Route, "{cardId}", "a", 1)
		if op.Scope == "" {
			s.do(request{method: op.Method, path: path, token: "-"}).want(t, 200)
			s.do(request{method: op.Method, path: path + "?x=1", token: "-"}).want(t, 400, "invalid-request", "query x")
			continue
		}
		good := request{method: op.Method, path: path}
		switch op.Route[strings.LastIndex(op.Route, "/"):] {
		case "/rotation":
			if op.Method == "PATCH" {
				good.body = `{"cvv_rotation_interval_hours":24}`
			}
		case "/verify":
			good.body = `{"cvv":"123"}`
		}
		with := func(change func(*request)) request { r := good; change(&r); return r }

		s.do(with(func(r *request) { r.token = "-" })).want(t, 401, "unauthenticated")
		a := s.do(with(func(r *request) { r.token = s.token("cvv:other") }))
		a.want(t, 403, "scope-missing")
		if want := `Bearer realm="cvv", error="insufficient_scope", scope="` + op.Scope + `"`; a.header.Get("WWW-Authenticate") != want {
			t.Error(a.header)
		}
		other := s.dev.Token(auth.Caller{Subject: "x", Account: "other", Scopes: allScopes}, time.Hour)
		s.do(with(func(r *request) { r.token = other })).want(t, 403, "other-account")
		s.do(with(func(r *request) { r.path = strings.Replace(op.Route, "{cardId}", "4111111111111111", 1) })).want(t, 400, "invalid-request", "path cardId")
		if op.Method != "PUT" {
			s.do(with(func(r *request) { r.path = strings.Replace(op.Route, "{cardId}", "unknown", 1) })).want(t, 404, "no-such-card")
		}
		if slices.Contains(hasBody, op.Method) {
			s.do(with(func(r *request) { r.body = `{"service_code":"` + strings.Repeat("1", api.MaxBody) + `"}` })).want(t, 413, "body-too-large")
			s.do(with(func(r *request) { r.body, r.header = "{}", []string{"Content-Type", "text/plain"} })).want(t, 415, "unsupported-content-type")
		}
		limited.do(good)
		a = limited.do(good)
		a.want(t, 429, "too-many-requests")
		if a.header.Get("Retry-After") != "2" {
			t.Error(a.header)
		}
		limited.clock.add(2 * time.Second)
		a = slow.do(good)
		a.want(t, 503, "unavailable")
		if a.header.Get("Retry-After") != "1" {
			t.Error(a.header)
		}

		s.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: memory.ErrInjected} })
		a = s.do(good)
		a.want(t, 500, "internal-error")
		s.store.SetFaults(nil)
		if strings.Contains(a.raw, "injected") || a.text("detail") != "" {
			t.Error("a 500 contains the reason: " + a.raw)
		}
		if log := s.log.String(); !strings.Contains(log, `"error":"injected fault"`) || !strings.Contains(log, a.text("request_id")) {
			t.Error("the log lacks the reason")
		}
		a = s.do(good)
		if a.status > 204 {
			t.Error(a.raw)
		}
	}

	key := []string{"Idempotency-Key", "k"}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", header: key}).want(t, 200)
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", header: key, body: `{"compromised":true}`}).want(t, 409, "idempotency-key-reused")
	body := `{"pan":"4000000000010002","expiry":"2027-11","service_code":"201"}`
	derived.do(request{method: "PUT", path: "/v1/cards/d", body: body}).want(t, 201)
	derived.do(request{method: "PUT", path: "/v1/cards/d", body: body}).want(t, 200)
	derived.do(request{method: "PUT", path: "/v1/cards/d", body: strings.Replace(body, "0002", "0010", 1)}).want(t, 409, "registered-otherwise")
	derived.do(request{method: "PUT", path: "/v1/cards/d", body: strings.Replace(body, "-11", "-10", 1)}).want(t, 409, "registered-otherwise")
	derived.do(request{method: "PUT", path: "/v1/cards/e"}).want(t, 400, "invalid-request", "body pan")
	derived.do(request{method: "PUT", path: "/v1/cards/e", body: `{"pan":"4000000000000002"}`}).want(t, 400, "invalid-request", "body expiry")
	s.do(request{method: "PUT", path: "/v1/cards/e", body: body}).want(t, 400, "invalid-request", "body pan")
	a := derived.do(request{method: "PUT", path: "/v1/cards/e", body: body})
	a.want(t, 409, "registered-otherwise")
	if a.text("detail") != "another card is registered with the same PAN and expiry" {
		t.Error(a.raw)
	}
	derived.do(request{method: "PUT", path: "/v1/cards/e", body: strings.Replace(body, "4000", "5000", 1)}).want(t, 400, "invalid-request", "body pan")
	derived.do(request{method: "PUT", path: "/v1/cards/e", body: strings.Replace(body, "201", "000", 1)}).want(t, 400, "invalid-request", "body service_code")
	derived.do(request{method: "POST", path: "/v1/cards/d/cvv/rotate", body: `{"service_code":"999"}`}).want(t, 400, "invalid-request", "body service_code")

	// Send the examples.
	for path, methods := range openapi().paths {
		for method, op := range methods {
			body, ok := op["requestBody"].(map[string]any)
			if !ok {
				continue
			}
			for name, example := range examples(body) {
				to := s
				if strings.Contains(string(example), "pan") {
					to = derived
				}
				if a := to.do(request{method: method, path: strings.Replace(path, "{cardId}", "example-"+name, 1), body: string(example)}); a.status > 204 {
					if _, _, err := s.engine.Register(t.Context(), engine.Ref{Card: "example-" + name, Account: "acme"}, engine.RegisterRequest{}); err != nil {
						t.Fatal(err)
					}
					if a := to.do(request{method: method, path: strings.Replace(path, "{cardId}", "example-"+name, 1), body: string(example)}); a.status > 204 {
						t.Errorf("%s %s: example %s: %s", method, path, name, a.raw)
					}
				}
			}
		}
	}

	for path, methods := range openapi().paths {
		for method, op := range methods {
			for status := range op["responses"].(map[string]any) {
				if name := method + " " + path + " " + status; !seen[name] {
					t.Errorf("documented, but did not occur: %s", name)
				}
			}
		}
	}
}
