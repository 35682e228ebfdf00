package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/api"
	"cvvrotation/sim/must"
)

func (s *site) history(query string) reply {
	s.t.Helper()
	return s.do(request{method: "GET", path: "/v1/cards/a/cvv/history" + query, token: s.token(api.ScopeHistory)})
}

// sentences returns the number and the sentence of each event.
func (a reply) sentences() (lines []string) {
	for _, e := range a.body["events"].([]any) {
		e := e.(map[string]any)
		lines = append(lines, fmt.Sprint(e["event_number"], " ", e["sentence"]))
	}
	return lines
}

func TestHistory_AnswersWhyTheCVVChanged(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 24*time.Hour)
	s.clock.add(24 * time.Hour)
	must.Get(s.engine.Tick(t.Context()))(t)
	s.clock.add(time.Minute)
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: `{"compromised":true}`}).want(t, 200)
	a := s.history("")
	a.want(t, 200)
	must.Equal(t, []string{
		"3 forced 1m after the automatic rotation at 15:00:00: CVV rotated, schedule kept, next 2026-11-24T15:00:00Z (scenario 1); compromised: the previous CVV stopped being accepted immediately",
		"2 automatic at its slot: CVV rotated, rescheduled, next 2026-11-24T15:00:00Z",
		"1 interval set to 24h: new schedule, next 2026-11-23T15:00:00Z",
	}, a.sentences())
	if len(s.audit.Records(t)) != 1 {
		t.Error("reading a history is in the audit log")
	}
}

// TestHistory_HasTheMembersOfTheEvent compares each event with what subscribers get.
func TestHistory_HasTheMembersOfTheEvent(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 24*time.Hour)
	s.clock.add(99 * time.Hour)
	must.Get(s.engine.Tick(t.Context()))(t)
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate", body: `{"compromised":true}`}).want(t, 200)
	s.clock.add(-2000 * time.Hour)
	must.Do(t, s.engine.Sweep(t.Context())) // repairs
	s.do(request{method: "DELETE", path: "/v1/cards/a/cvv/rotation"}).want(t, 204)
	entries := s.history("").body["events"].([]any)
	log := must.Get(s.store.ListEvents(t.Context(), 0, 10))(t)
	if len(entries) != 5 || len(log) != 5 {
		t.Fatalf("%d entries of %d events", len(entries), len(log))
	}
	optional := map[string]any{"cvv_rotation_type": nil, "missed": 0.0, "slot": nil, "compromised": false, "repaired": false}
	for i, e := range log {
		var event struct {
			Time string
			Data map[string]any
		}
		must.Do(t, json.Unmarshal(e.Payload, &event))
		want := event.Data
		want["time"] = event.Time
		delete(want, "card_id")
		delete(want, "account_id")
		for name, value := range optional {
			if _, ok := want[name]; !ok {
				want[name] = value
			}
		}
		got := entries[len(entries)-1-i].(map[string]any)
		want["rule"], want["sentence"] = got["rule"], got["sentence"]
		must.Equal(t, want, got)
	}
}

func TestHistory_PagesAndNamesWhatIsNotKept(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	for range 25 {
		must.Get(s.engine.Force(t.Context(), engine.AnyAccount("a"), engine.ForceRequest{}))(t)
	}
	for p := range int64(3) {
		must.Do(t, s.store.RecordDeliveries(t.Context(), []store.Delivery{{Position: p + 1, Status: store.StatusDelivered}}))
	}
	s.clock.add(time.Hour)
	must.Get(s.store.DeleteExpired(t.Context(), s.clock.Now(), 10))(t)
	for _, test := range []struct {
		query       string
		first, last int // event numbers
		before      any // of the next page
		missing     string
	}{
		{"", 25, 6, 6.0, "[]"},
		{"?before=6", 5, 4, nil, "[map[first:1 last:3]]"},
		{"?limit=200", 25, 4, nil, "[map[first:1 last:3]]"},
		{"?limit=3&before=10", 9, 7, 7.0, "[]"},
		{"?before=9223372036854775807&limit=1", 25, 25, 25.0, "[]"},
		{"?before=3", 0, 0, nil, "[map[first:1 last:2]]"},
	} {
		t.Run(test.query, func(t *testing.T) {
			a := s.history(test.query)
			a.want(t, 200)
			first, last := 0, 0
			if lines := a.sentences(); len(lines) > 0 {
				fmt.Sscan(lines[0], &first)
				fmt.Sscan(lines[len(lines)-1], &last)
			}
			must.Equal(t, []any{test.first, test.last, test.before, test.missing, 25.0},
				[]any{first, last, a.body["next_before"], fmt.Sprint(a.body["missing"]), a.body["last_event_number"]})
		})
	}
}

func TestHistory_OfACardThatNothingHappenedTo(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	a := s.history("")
	a.want(t, 200)
	must.Equal(t, map[string]any{"card_id": "a", "account_id": "acme", "last_event_number": 0.0, "events": []any{}, "missing": []any{}, "next_before": nil}, a.body)
}

func TestHistory_Refuses(t *testing.T) {
	s := newSite(t, setup{})
	s.card("a", 0)
	for query, field := range map[string]string{
		"?limit=0": "limit", "?limit=201": "limit", "?limit=-1": "limit", "?limit=": "limit", "?limit=x": "limit", "?limit=1e2": "limit",
		"?limit=1&limit=2": "limit", "?before=0": "before", "?before=-1": "before", "?before=9223372036854775808": "before",
		"?before=18446744073709551617": "before", "?before=+1": "before", "?slots=1": "slots", "?Before=1": "Before", "?before=1&x=2": "x", "?4111111111111111=1": "(unnamed)",
	} {
		t.Run(query, func(t *testing.T) {
			a := s.history(query)
			a.want(t, 400, "invalid-request")
			if strings.Contains(a.raw, "4111") {
				t.Error("the response quotes a possible PAN")
			}
			if got := a.body["errors"].([]any)[0].(map[string]any)["field"]; field != "(unnamed)" && got != field {
				t.Errorf("field %v, want %s", got, field)
			}
		})
	}
	for path, want := range map[string]int{
		"unknown": 404, "4111111111111111": 400, "4111-1111-1111-1111": 400, "x%3A1": 404, "%3Cscript%3E": 400, "a%2Fb": 400,
	} {
		t.Run(path, func(t *testing.T) {
			a := s.do(request{method: "GET", path: "/v1/cards/" + path + "/cvv/history", token: s.token(api.ScopeHistory)})
			a.want(t, want)
			if strings.Contains(a.raw, "4111") || bytes.Contains([]byte(a.raw), []byte("script")) {
				t.Error("the response quotes the id: " + a.raw)
			}
		})
	}
}
