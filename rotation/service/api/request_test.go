package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/sim/must"
)

func TestRequestID_RepeatsTheClientsIfSafeToLog(t *testing.T) {
	s := newSite(t, setup{})
	seen := map[string]bool{}
	for id, kept := range map[string]bool{
		"r-1": true, "8e03978e-40d5-43dd-bc93-6894a57f9324": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, `a"b`: false, "ä": false, "a,b": false, ".a": false,
		"4111111111111111": false, "4111-1111-1111-1111": false, "123": false, "1_2:3": false,
	} {
		t.Run(id, func(t *testing.T) {
			a := s.do(request{method: "GET", path: "/", header: []string{"X-Request-Id", id}})
			got := a.header.Get("X-Request-Id")
			if (got == id) != kept || seen[got] {
				t.Errorf("%q became %q", id, got)
			}
			own := a.text("request_id")
			if seen[own] || own == id || !kept && own != got {
				t.Errorf("request_id is %q, the header %q", own, got)
			}
			seen[got], seen[own] = true, true
			records := s.log.Records(t)
			logged, client := records[len(records)-1], any(nil)
			if kept {
				client = id
			}
			if logged["request_id"] != own || logged["client_request_id"] != client {
				t.Errorf("logged as %v", logged)
			}
		})
	}
	if strings.Contains(s.log.String(), "4111111111111111") || strings.Contains(s.log.String(), "4111-1111") {
		t.Error("the log contains a possible PAN")
	}
}

func TestRequestLog_HasRouteAndReason(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	s.do(request{method: "GET", path: "/v1/cards/a/cvv/rotation?slots=1", header: []string{"X-Request-Id", "r-1"}})
	s.do(request{method: "GET", path: "/nowhere", token: "-", header: []string{"X-Request-Id", "r-2"}})
	s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: "x", header: []string{"X-Request-Id", "r-3"}})
	s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: s.token(api.ScopeRead), header: []string{"X-Request-Id", "r-4"}})
	s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: s.dev.Token(auth.Caller{Subject: "svc-2", Scopes: allScopes}, time.Hour), header: []string{"X-Request-Id", "r-5"}})
	got := s.log.Records(t)
	for _, r := range got {
		delete(r, "time")
		delete(r, "request_id")
	}
	must.Equal(t, []map[string]any{
		{"level": "INFO", "msg": "request", "method": "GET", "route": "/v1/cards/{cardId}/cvv/rotation", "status": 200.0, "took": 0.0, "client_request_id": "r-1", "from": "127.0.0.1", "subject": "svc-1", "card": "a"},
		{"level": "INFO", "msg": "request", "method": "GET", "route": "", "status": 404.0, "took": 0.0, "client_request_id": "r-2", "from": "127.0.0.1", "subject": "", "card": "", "problem": "no-such-resource"},
		{"level": "INFO", "msg": "request", "method": "GET", "route": "/v1/cards/{cardId}/cvv", "status": 401.0, "took": 0.0, "client_request_id": "r-3", "from": "127.0.0.1", "subject": "", "card": "a", "problem": "unauthenticated", "reason": auth.ErrMalformed.Error()},
		{"level": "INFO", "msg": "request", "method": "GET", "route": "/v1/cards/{cardId}/cvv", "status": 403.0, "took": 0.0, "client_request_id": "r-4", "from": "127.0.0.1", "subject": "svc-1", "card": "a", "problem": "scope-missing", "reason": "the operation requires the scope cvv:reveal"},
		{"level": "INFO", "msg": "request", "method": "GET", "route": "/v1/cards/{cardId}/cvv", "status": 403.0, "took": 0.0, "client_request_id": "r-5", "from": "127.0.0.1", "subject": "svc-2", "card": "a", "problem": "scope-missing", "reason": "the caller has no account and lacks the scope accounts:any"},
	}, got)
	for _, x := range []api.Exchange{{Method: "GET", Route: "/v1/cards/{cardId}/cvv/rotation", Status: 200}, {Method: "GET", Status: 404}} {
		if _, ok := s.seen.Load(x); !ok {
			t.Errorf("Observe was not called with %+v", x)
		}
	}
}

// TestRequestLog_LimitsUnauthenticatedRequests: they cannot fill the disk, and the
// records of callers are not dropped.
func TestRequestLog_LimitsUnauthenticatedRequests(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	s.unjudged = true
	for range 50 {
		s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: "-"}).want(t, 401)
		s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: "x"}).want(t, 401)
		s.do(request{method: "GET", path: "/nowhere", token: "-"}).want(t, 404)
		s.do(request{method: "GET", path: "//", token: "-"}).want(t, 400)
		s.do(request{method: "GET", path: "/openapi.json", token: "-"}).want(t, 200)
		s.do(request{method: "GET", path: "/v1/cards/a/cvv/rotation"}).want(t, 200)
	}
	s.clock.add(2 * time.Second)
	s.do(request{method: "GET", path: "/nowhere", token: "-"})
	callers, strangers, suppressed := 0, 0, 0.0
	for _, r := range s.log.Records(t) {
		switch {
		case r["msg"] != "request":
		case r["subject"] == "":
			strangers++
			if n, ok := r["suppressed"].(float64); ok {
				suppressed += n
			}
		default:
			callers++
		}
	}
	if callers != 50 || strangers != 61 || suppressed != 190 {
		t.Errorf("%d records of callers, %d of others, %v suppressed", callers, strangers, suppressed)
	}
}

// TestPath_RefusesAmbiguousPaths sends paths without a client, which would clean them.
func TestPath_RefusesAmbiguousPaths(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	s.card("x:1", 0)
	s.card("4111111111", 0)
	token := s.token(allScopes...)
	address := strings.TrimPrefix(s.url, "http://")
	for path, want := range map[string]int{
		"/v1/cards/a/cvv/rotation":                               200,
		"/v1/cards/x%3A1/cvv/rotation":                           200,
		"/v1/cards/x%3a1/cvv/rotation":                           200,
		"/v1/cards/%61/cvv/rotation":                             200,
		"/v1/cards/4111111111/cvv/rotation":                      200, // 10 digits are not a PAN
		s.url + "/v1/cards/a/cvv/rotation":                       200, // absolute form
		"/v1/cards//cvv/rotation":                                400,
		"//v1/cards/a/cvv/rotation":                              400,
		"/v1/cards/a/cvv/rotation/":                              400,
		"/v1/cards/a//cvv/rotation":                              400,
		"/v1/cards/./cvv/rotation":                               400,
		"/v1/cards/../cvv/rotation":                              400,
		"/v1/cards/b/../a/cvv/rotation":                          400,
		"/v1/cards/%2e%2e/cvv/rotation":                          400,
		"/v1/cards/%2E/cvv/rotation":                             400,
		"/v1/cards/a%2Fcvv/rotation":                             400,
		"/v1/cards/a%2fb/cvv/rotation":                           400,
		"/v1/cards/b%2F..%2Fa/cvv/rotation":                      400,
		"/v1%2Fcards/a/cvv/rotation":                             400,
		"/v1/cards/a%5Cb/cvv/rotation":                           400,
		`/v1/cards/a\b/cvv/rotation`:                             400,
		"/v1/cards/a%00/cvv/rotation":                            400,
		"/v1/cards/a%0d%0aX-Evil:1/cvv/rotation":                 400,
		"/v1/cards/a%20/cvv/rotation":                            400,
		"/v1/cards/%C3%A4/cvv/rotation":                          400,
		"/v1/cards/%ff/cvv/rotation":                             400,
		"/v1/cards/.a/cvv/rotation":                              400,
		"/v1/cards/a;b/cvv/rotation":                             400,
		"/v1/cards/a%25/cvv/rotation":                            400,
		"/v1/cards/a%2561/cvv/rotation":                          400,
		"/v1/cards/411111111111/cvv/rotation":                    400,
		"/v1/cards/4111111111111111/cvv/rotation":                400,
		"/v1/cards/%34111111111111111/cvv/rotation":              400,
		"/v1/cards/4111-1111-1111-1111/cvv/rotation":             400,
		"/v1/cards/4111.1111.1111.1111/cvv/rotation":             400,
		"/v1/cards/" + strings.Repeat("a", 65) + "/cvv/rotation": 400,
		"/v1/cards/" + strings.Repeat("a", 64) + "/cvv/rotation": 404,
		"/v1/cards/a/cvv/rotation?slots=1&slots=2":               400,
		"/v1/cards/a/cvv/rotation?Slots=1":                       400,
		"/v1/cards/a/cvv/rotation?slots=":                        400,
		"/v1/cards/a/cvv/rotation?slots=-1":                      400,
		"/v1/cards/a/cvv/rotation?slots=1001":                    400,
		"/v1/cards/a/cvv/rotation?slots=99999999999999999999":    400,
		"/v1/cards/a/cvv/rotation?slots=0":                       200,
		"/v1/cards/a/cvv/rotation?slots=%zz":                     400,
		"/v1/cards/a/cvv/rotation?a;b":                           400,
		"/v1/cards/a/cvv/rotation?access_token=" + token:         400,
		"/v1/cards/a/cvv/rotation?4111111111111111":              400,
		"/v1/cards/a/cvv/rotation#x":                             404, // a fragment is not part of a request
		"*":                                                      400,
		"/v1/cards/a/cvv/%72otation":                             200,
		"/v1/cards/a/CVV/rotation":                               404,
	} {
		t.Run(path, func(t *testing.T) {
			c := must.Get(net.Dial("tcp", address))(t)
			defer c.Close()
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, token)
			resp := must.Get(http.ReadResponse(bufio.NewReader(c), nil))(t)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != want {
				t.Errorf("%d, want %d: %s", resp.StatusCode, want, body)
			}
			if strings.Contains(string(body), "411111111111") || strings.Contains(string(body), token) || strings.Contains(string(body), "X-Evil") {
				t.Errorf("the response quotes the path: %s", body)
			}
		})
	}
	for _, secret := range []string{"411111111111", "4111-1111", "4111.1111", token, "X-Evil"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log contains %s", secret)
		}
	}
}
