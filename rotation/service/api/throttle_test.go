package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/api"
)

// TestVerify_UnlockingDoesNotMakeGuessesFree: a caller with cvv:verify and cvv:unlock gets
// no more guesses than the daily limit; the refusals are in the audit log.
func TestVerify_UnlockingDoesNotMakeGuessesFree(t *testing.T) {
	s := newSite(t, setup{engine: engine.Options{MaxTries: 3}})
	s.card("a", time.Hour)
	guesser := s.token(api.ScopeVerify, api.ScopeUnlock)
	verdicts := map[string]int{}
	for i := range 40 {
		if i%7 == 0 {
			s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate"}).want(t, 200)
		}
		a := s.do(request{method: "POST", path: "/v1/cards/a/cvv/verify", body: fmt.Sprintf(`{"cvv":"%d"}`, 1000+i), token: guesser})
		a.want(t, 200)
		verdicts[a.text("verdict")]++
		s.do(request{method: "POST", path: "/v1/cards/a/cvv/unlock", token: guesser}).want(t, 204)
		s.clock.add(time.Minute)
	}
	if len(verdicts) != 2 || verdicts["wrong"] != 20 || verdicts["throttled"] != 20 {
		t.Errorf("verdicts %v", verdicts)
	}
	right, _ := s.cvv("a")
	a := s.do(request{method: "POST", path: "/v1/cards/a/cvv/verify", body: `{"cvv":"` + right + `"}`, token: guesser})
	if a.text("verdict") != "throttled" || a.body["accepted"] != false {
		t.Errorf("the right CVV: %s", a.raw)
	}
	shown := s.do(request{method: "GET", path: "/v1/cards/a/cvv/rotation"})
	if shown.number("daily_tries") != 20 || shown.text("throttled_until") != "2026-11-23T15:00:00Z" || shown.body["locked_at"] != nil {
		t.Errorf("the schedule: %s", shown.raw)
	}
	throttled, unlocks := 0, 0
	for record := range strings.Lines(s.audit.String()) {
		switch {
		case strings.Contains(record, `"operation":"verify"`):
			throttled++
			if !strings.Contains(record, `"throttled":true`) || !strings.Contains(record, `"changed":false`) {
				t.Errorf("audit record %s", record)
			}
		case strings.Contains(record, `"operation":"unlock"`):
			unlocks++
		}
	}
	if throttled != 21 || unlocks != 40 {
		t.Errorf("%d throttled verifications and %d unlocks on record", throttled, unlocks)
	}
	s.clock.add(24*time.Hour - 40*time.Minute)
	a = s.do(request{method: "POST", path: "/v1/cards/a/cvv/verify", body: `{"cvv":"` + right + `"}`, token: s.token(api.ScopeVerify)})
	if a.text("verdict") != "current" {
		t.Errorf("a day after the first attempt: %s", a.raw)
	}
}
