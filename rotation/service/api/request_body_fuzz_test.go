package api

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/servicecode"
)

// FuzzBody checks that decoding never panics, that errors do not quote secrets, and that
// accepted bodies decode as with encoding/json.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"cvv":"123"}`, `{"cvv":"12345","pan":"4111111111111111","expiry":"2027-11"}`,
		`{"service_code":"201","compromised":true}`, `{"cvv_rotation_interval_hours":24,"spread":false}`,
		`{"cvv_first_rotation_date":"2026-11-22T15:00:00.5+01:00"}`, `{"c\u0076v":"123"}`, `{"a":{"b":[1,2,{}]}}`,
		`{"cvv":"123","cvv":"124"}`, `{"4111111111111111":1}`, `[1]`, `nul`, `{"cvv":"123"} x`, "{\"\xff\":1}", `{"cvv":"\ud800"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var cvv cvvgen.CVV
		var card cvvgen.Card
		var code servicecode.Code
		var hours int64
		var first time.Time
		var yes bool
		var account accountID
		err := decodeBody([]byte(body), []member{
			textMember("cvv", "must be 3 to 5 digits", &cvv),
			textMember("pan", "must be 8 to 19 digits", &card.PAN),
			textMember("expiry", "must be a month", monthMember{&card.Expiry}),
			textMember("service_code", wantServiceCode, &code),
			textMember("account_id", "must be an id", &account),
			intMember("cvv_rotation_interval_hours", wantHours, 1, maxHours, &hours),
			instantMember("cvv_first_rotation_date", &first),
			boolMember("compromised", &yes),
		})
		if err != nil {
			p, ok := errors.AsType[*problem](err)
			if !ok || p.name != audit.OutcomeInvalidRequest {
				t.Fatalf("%T is no 400", err)
			}
			b, _ := json.Marshal(p.response("r").body)
			// The problem must not quote digits of the body. Short runs also occur in
			// offsets and in our own sentences.
			for run := range strings.FieldsFuncSeq(body, func(c rune) bool { return c < '0' || c > '9' }) {
				if len(run) >= 5 && run != "87600" && strings.Contains(string(b), run) {
					t.Errorf("the problem quotes %q", run)
				}
			}
			return
		}
		if body == "" {
			return
		}
		dec := json.NewDecoder(strings.NewReader(body))
		var m map[string]any
		if err := dec.Decode(&m); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if _, err := dec.Token(); err != io.EOF {
			t.Fatal("more than one value was accepted")
		}
		if text, ok := m["cvv"].(string); ok != cvv.IsValid() || text != cvv.Reveal() {
			t.Error("the CVV is not the one in the body")
		}
		if text, ok := m["pan"].(string); ok != card.PAN.IsValid() || text != card.PAN.Reveal() {
			t.Error("the PAN is not the one in the body")
		}
		if n, _ := m["cvv_rotation_interval_hours"].(float64); int64(n) != hours || hours > maxHours {
			t.Errorf("hours %d", hours)
		}
		if b, _ := m["compromised"].(bool); b != yes {
			t.Error("compromised")
		}
	})
}
