package api_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/loglimit"
	"cvvrotation/sim/must"
)

func TestAudit_RecordsRefusedAuthenticationsOfAuditedOperations(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	for _, path := range []string{"/v1/cards/a/cvv", "/v1/cards/4111111111111111/cvv", "/v1/cards/a/cvv/rotation", "/nowhere", "/openapi.json"} {
		s.do(request{method: "GET", path: path, token: "-", header: []string{"X-Request-Id", "r-1"}})
	}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", token: "x"}).want(t, 401)
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/verify", token: "x", body: "{}"}).want(t, 401)
	s.clock.add(2 * time.Hour)
	got := s.audit.Records(t)
	for _, r := range got {
		for _, key := range []string{"time", "level", "msg"} {
			delete(r, key)
		}
		if id, ok := r["request_id"].(string); !ok || id == "r-1" {
			t.Error(r)
		}
		delete(r, "request_id")
	}
	refused := func(operation string, more ...string) map[string]any {
		r := map[string]any{"operation": operation, "outcome": "unauthenticated", "from": "127.0.0.1"}
		for i := 0; i < len(more); i += 2 {
			r[more[i]] = more[i+1]
		}
		return r
	}
	must.Equal(t, []map[string]any{
		refused("reveal", "card", "a", "detail", auth.ErrMissing.Error(), "client_request_id", "r-1"),
		refused("reveal", "detail", auth.ErrMissing.Error(), "client_request_id", "r-1"),
		refused("rotate", "card", "a", "detail", auth.ErrMalformed.Error()),
		refused("verify", "card", "a", "detail", auth.ErrMalformed.Error()),
	}, got)
}

// TestAudit_LimitsRefusedAuthentications floods the endpoint and counts: every refused
// authentication has a record, or is in the count of a later one.
func TestAudit_LimitsRefusedAuthentications(t *testing.T) {
	s := newSite(t, setup{})
	const flood = 200
	refuse := func() { s.do(request{method: "GET", path: "/v1/cards/a/cvv", token: "-"}).want(t, 401) }
	for range flood {
		refuse()
	}
	if n := len(s.audit.Records(t)); n != 10 {
		t.Errorf("%d records, want 10", n)
	}
	s.clock.add(59 * time.Second)
	refuse()
	s.clock.add(time.Second)
	refuse()
	records := s.audit.Records(t)
	if len(records) != 11 || records[10]["suppressed"] != float64(flood-10+1) {
		t.Fatalf("%d records, the last %v", len(records), records[len(records)-1])
	}
	s.clock.add(time.Minute)
	refuse()
	if records := s.audit.Records(t); len(records) != 12 || records[11]["suppressed"] != nil {
		t.Errorf("%d records, the last %v", len(records), records[len(records)-1])
	}
	if n := len(s.log.Records(t)); n != loglimit.Burst+3 {
		t.Errorf("%d requests in the log", n)
	}
}

func TestRefusals_CountForEachAddressAndInTotal(t *testing.T) {
	addr := netip.MustParseAddr
	admitted := func(r api.Refusals, n int, at time.Time, next func(i int) netip.Addr) (admitted int) {
		for i := range n {
			if _, ok := r.Admit(next(i), at); ok {
				admitted++
			}
		}
		return admitted
	}
	always := func(text string) func(int) netip.Addr { return func(int) netip.Addr { return addr(text) } }
	for name, row := range map[string]struct {
		next func(int) netip.Addr
		want int
	}{
		"one IPv4 address":   {always("203.0.113.9"), 10},
		"no address":         {func(int) netip.Addr { return netip.Addr{} }, 10},
		"one IPv6 network":   {func(i int) netip.Addr { return addr(fmt.Sprintf("2001:db8::%x", i+1)) }, 10},
		"one IPv6 zone":      {always("fe80::1%eth0"), 10},
		"zones of a network": {func(i int) netip.Addr { return addr(fmt.Sprintf("fe80::1%%%d", i)) }, 10},
		"two IPv6 networks":  {func(i int) netip.Addr { return addr(fmt.Sprintf("2001:db8:0:%x::1", i%2)) }, 20},
		"two IPv4 addresses": {func(i int) netip.Addr { return addr(fmt.Sprintf("203.0.113.%d", i%2)) }, 20},
		"many addresses":     {func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }, 100},
	} {
		t.Run(name, func(t *testing.T) {
			r := api.NewRefusals()
			if n := admitted(r, 1000, start, row.next); n != row.want {
				t.Errorf("%d of 1000 admitted, want %d", n, row.want)
			}
			if suppressed, ok := r.Admit(row.next(0), start.Add(time.Hour)); !ok || suppressed != 1000-row.want {
				t.Errorf("%d suppressed, %v", suppressed, ok)
			}
		})
	}
	// An hour of a flood from ever new addresses: 100, and one a second.
	r := api.NewRefusals()
	n := 0
	for second := range 3600 {
		n += admitted(r, 50, start.Add(time.Duration(second)*time.Second), func(i int) netip.Addr {
			return netip.AddrFrom4([4]byte{10, byte(second >> 4), byte(second << 4), byte(i)})
		})
	}
	if n > 3700 || n < 3600 {
		t.Errorf("%d records in an hour", n)
	}
	if r.Len() > 2*api.MaxLimited {
		t.Errorf("%d addresses in memory", r.Len())
	}
}
