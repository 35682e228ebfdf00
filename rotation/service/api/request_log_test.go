package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
)

func TestRequestLog_HasRouteAndReason(t *testing.T) {
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
			t.Errorf("Observe was not called with %+v", x)
		}
	}
}
