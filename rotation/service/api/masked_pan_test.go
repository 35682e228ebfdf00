package api_test

import (
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/sim/must"
)

// TestLogs_MaskPANsInOtherSystemsNames: an account, a subject and a request id that
// contain a PAN are accepted. Answers return them, logs and events mask them.
func TestLogs_MaskPANsInOtherSystemsNames(t *testing.T) {
	const pan, masked = "4111111111111111", "411111xxxxxx1111"
	s := newSite(t, setup{})
	token := s.dev.Token(auth.Caller{Subject: "user-" + pan, Account: pan, Scopes: allScopes}, time.Hour)
	call := func(method, path, body string) reply {
		return s.do(request{method: method, path: "/v1/cards/a" + path, body: body, token: token, header: []string{"X-Request-Id", "r-" + pan}})
	}
	put := call("PUT", "", `{"cvv_rotation_interval_hours":24}`)
	put.want(t, 201)
	must.Equal(t, put.text("account_id"), pan)
	must.Equal(t, put.header.Get("X-Request-Id"), "r-"+pan)
	call("POST", "/cvv/rotate", "").want(t, 200)
	call("POST", "/cvv/verify", `{"cvv":1}`).want(t, 400)

	waiting := must.Get(s.store.ListWaiting(t.Context(), 10, nil))(t)
	events := ""
	for _, e := range waiting {
		events += string(e.Payload) + "\n"
		parsed := must.Get(event.ParseStrict(e.Payload))(t)
		must.Equal(t, parsed.Account, masked)
	}
	for name, text := range map[string]string{"log": s.log.String(), "audit log": s.audit.String(), "events": events} {
		if strings.Contains(text, pan) {
			t.Errorf("the %s contains the PAN: %s", name, text)
		}
		if !strings.Contains(text, masked) {
			t.Errorf("the %s lacks the masked PAN: %s", name, text)
		}
	}
	if c := must.Get(s.engine.Show(t.Context(), engine.Ref{Card: "a", Account: pan}, 0))(t); c.Account != pan {
		t.Errorf("stored account %q", c.Account)
	}
}
