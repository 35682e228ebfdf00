package api_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/sim/must"
)

// TestRegister_AgainNeedsScopesToChangeAndToShow: cards:register alone repeats its own
// request, and neither reschedules nor reads a card that is registered.
func TestRegister_AgainNeedsScopesToChangeAndToShow(t *testing.T) {
	const (
		daily = `{"cvv_rotation_interval_hours":24}`
		six   = `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-22T18:00:00Z"}`
		even  = `{"cvv_rotation_interval_hours":24,"spread":true}`
	)
	few := []string{"account_id", "at", "card_id"}
	read, schedule := api.ScopeRead, api.ScopeSchedule
	for _, tt := range []struct {
		name       string
		first      string
		again      string
		more       []string // scopes beside cards:register
		status     int
		moves, few bool // the schedule moves; the answer has few members
	}{
		{"equal", daily, daily, nil, 200, false, true},
		{"equal spread", even, even, nil, 200, false, true},
		{"equal first, which has passed", six, six, nil, 200, false, true},
		{"no settings", daily, ``, nil, 200, false, true},
		{"empty body of a card without rotation", ``, `{}`, nil, 200, false, true},
		{"equal, with the right to schedule", six, six, []string{schedule}, 200, false, true},
		{"equal, with the right to read", six, six, []string{read}, 200, false, false},
		{"other interval", daily, `{"cvv_rotation_interval_hours":87600}`, nil, 403, false, false},
		{"other interval, with the right to read", daily, `{"cvv_rotation_interval_hours":87600}`, []string{read}, 403, false, false},
		{"other interval, of every account", daily, `{"cvv_rotation_interval_hours":87600}`, []string{api.ScopeAnyAccount}, 403, false, false},
		{"other first", daily, `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-23T18:00:00Z"}`, nil, 403, false, false},
		{"spread", daily, even, nil, 403, false, false},
		{"turn on", ``, daily, nil, 403, false, false},
		{"other interval, with the right to schedule", daily, `{"cvv_rotation_interval_hours":48}`, []string{schedule}, 200, true, true},
		{"other interval, with both rights", daily, `{"cvv_rotation_interval_hours":48}`, []string{schedule, read}, 200, true, false},
		{"turn on, with the right to schedule", ``, daily, []string{schedule}, 200, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, setup{})
			put := func(body string, scopes ...string) reply {
				t.Helper()
				token := s.dev.Token(auth.Caller{Subject: "svc-1", Account: "acme", Scopes: append(scopes, api.ScopeRegister)}, 100*time.Hour)
				return s.do(request{method: "PUT", path: "/v1/cards/a", body: body, token: token})
			}
			a := put(tt.first)
			a.want(t, 201)
			if len(a.body) != len(schema("Schedule")["properties"].(map[string]any)) {
				t.Errorf("a new card shows %v", slices.Sorted(maps.Keys(a.body)))
			}
			s.clock.add(20 * time.Hour)
			must.Get(s.engine.Force(t.Context(), engine.AnyAccount("a"), engine.ForceRequest{}))(t)
			s.clock.add(time.Hour)
			before := s.stored(t, "a")
			a = put(tt.again, tt.more...)
			if a.status != tt.status {
				t.Fatalf("status %d, want %d: %s", a.status, tt.status, a.raw)
			}
			if moved := len(changedFields(before, s.stored(t, "a"))) > 0; moved != tt.moves {
				t.Errorf("changed %t, want %t", moved, tt.moves)
			}
			if got := slices.Equal(slices.Sorted(maps.Keys(a.body)), few); got != tt.few {
				t.Errorf("the answer has %v", slices.Sorted(maps.Keys(a.body)))
			}
			if tt.status != 403 {
				return
			}
			a.want(t, 403, "scope-missing")
			if challenge := a.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `scope="cvv:schedule"`) {
				t.Errorf("challenge %q", challenge)
			}
			if record := s.audit.String(); !strings.Contains(record, `"outcome":"scope-missing"`) || !strings.Contains(record, `"version_before":2`) {
				t.Errorf("audit log: %s", record)
			}
		})
	}
}

// TestOpenAPI_RegisteredHasTheMembersOfSchedule: only those that the request has said are
// required.
func TestOpenAPI_RegisteredHasTheMembersOfSchedule(t *testing.T) {
	got, want := schema("Registered"), schema("Schedule")
	if d := cmp.Diff(want["properties"], got["properties"]); d != "" {
		t.Error(d)
	}
	must.Equal(t, []any{"card_id", "account_id", "at"}, got["required"].([]any))
}

// TestSetSchedule_SentAgainChangesNothing: a fresh CVV lives as long as the forced call
// said, and a first date that has passed is not refused.
func TestSetSchedule_SentAgainChangesNothing(t *testing.T) {
	for name, body := range map[string]string{
		"interval": `{"cvv_rotation_interval_hours":24}`,
		"spread":   `{"cvv_rotation_interval_hours":24,"spread":true}`,
		"first":    `{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":"2026-11-22T18:00:00Z"}`,
	} {
		for _, path := range []string{"/v1/cards/a/cvv/rotation", "/v1/cards/a"} {
			t.Run(name+" "+path, func(t *testing.T) {
				s := newSite(t, setup{})
				s.card("a", 0)
				method := map[bool]string{true: "PATCH", false: "PUT"}[strings.HasSuffix(path, "rotation")]
				send := func() reply { return s.do(request{method: method, path: path, body: body}) }
				send().want(t, 200)
				s.clock.add(23*time.Hour + 59*time.Minute)
				next := s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate"}).text("cvv_next_rotation_date")
				s.clock.add(time.Second)
				before := s.stored(t, "a")
				for range 2 {
					a := send()
					a.want(t, 200)
					if a.text("cvv_next_rotation_date") != next {
						t.Errorf("next %s, want %s", a.text("cvv_next_rotation_date"), next)
					}
				}
				must.Equal(t, []string(nil), changedFields(before, s.stored(t, "a")))
			})
		}
	}
}
