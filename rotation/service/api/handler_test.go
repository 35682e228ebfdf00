package api_test

import (
	"testing"
	"time"
)

// A card's life, as a client sees it.
func TestLife(t *testing.T) {
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
