package api_test

import (
	"strings"
	"testing"
)

func TestRequestID_IsReplacedUnlessSafeToLog(t *testing.T) {
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
			seen[got] = true
		})
	}
	if strings.Contains(s.log.String(), "4111111111111111") || strings.Contains(s.log.String(), "4111-1111") {
		t.Error("the log contains a possible PAN")
	}
}
