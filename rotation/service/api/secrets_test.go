package api_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/api"
)

// TestSecrets_AreInNoLogAndNoProblem sends a CVV, a PAN and a token in every place of
// every request. Only the response that reveals the CVV may contain it.
func TestSecrets_AreInNoLogAndNoProblem(t *testing.T) {
	const pan, cvv = "4929123456789012", "86420"
	for name, generator := range map[string]engine.Generator{"derived": derived(t), "random": engine.Random(new(cvvgen.Random), keyring(t))} {
		t.Run(name, func(t *testing.T) {
			var engineLog logtest.Buffer
			s := newSite(t, setup{cvvs: generator, engine: engine.Options{Logger: engineLog.JSON()}})
			s.unjudged = true
			token := s.token(append(allScopes, api.ScopeAnyAccount)...)
			var answers strings.Builder
			right := cvv
			send := func(r request) {
				if r.token == "" {
					r.token = token
				}
				a := s.do(r)
				if a.status == 200 && r.method == "GET" && strings.HasSuffix(r.path, "/cvv") {
					right = a.text("cvv")
					return
				}
				fmt.Fprintln(&answers, a.raw, a.header)
			}
			register := `{"pan":"` + pan + `","expiry":"2027-11","account_id":"acme"}`
			if name == "random" {
				send(request{method: "PUT", path: "/v1/cards/a", body: `{"account_id":"acme"}`})
			}
			send(request{method: "PUT", path: "/v1/cards/a", body: register})
			send(request{method: "PUT", path: "/v1/cards/twin", body: register})                                         // the PAN of another card
			send(request{method: "PUT", path: "/v1/cards/b", body: strings.Replace(register, "acme", "no-prefixes", 1)}) // not under a prefix
			send(request{method: "GET", path: "/v1/cards/a/cvv"})
			bodies := []string{
				register, `{"cvv":"` + cvv + `"}`, `{"cvv":` + cvv + `}`, `{"cvv":"` + right + `"}`, `{"pan":` + pan + `}`,
				`{"` + pan + `":1}`, `{"` + cvv + `":1,"` + cvv + `":1}`, `{"service_code":"` + pan + `"}`, `{"service_code":"` + cvv + `"}`,
				`{"cvv_first_rotation_date":"` + pan + `","cvv_rotation_interval_hours":1}`, `{"cvv_rotation_interval_hours":` + pan + `}`,
				`{"expiry":"` + pan + `"}`, `{"account_id":"` + pan + ` "}`, `{"compromised":` + pan + `}`, `{"cvv":"` + pan, pan, `"` + cvv + `"`,
				`{"cvv":"` + cvv + `` + "\xff" + `"}`, token, `{"x":"` + token + `"}`, `{"cvv_rotation_interval_hours":24}`, `{}`, ``,
			}
			for _, op := range api.Operations() {
				path := strings.Replace(op.Route, "{cardId}", "a", 1)
				for _, body := range bodies {
					send(request{method: op.Method, path: path, body: body})
					send(request{method: op.Method, path: path, body: body, token: "-"})
				}
				for _, secret := range []string{pan, cvv, token} {
					send(request{method: op.Method, path: path + "?" + secret})
					send(request{method: op.Method, path: path + "?cvv=" + secret})
					send(request{method: op.Method, path: path + "?slots=" + secret})
					send(request{method: op.Method, path: path, header: []string{"X-Request-Id", secret}})
					send(request{method: op.Method, path: path, header: []string{"Content-Type", secret}, body: "{}"})
					send(request{method: op.Method, path: path + "/" + secret})
					send(request{method: op.Method, path: path, token: token + "x"})
					send(request{method: op.Method, path: path, header: []string{"Authorization", "Basic " + secret}})
					send(request{method: op.Method, path: path, header: []string{"Idempotency-Key", secret + "é"}})
					if secret != cvv {
						send(request{method: op.Method, path: strings.Replace(op.Route, "{cardId}", secret, 1)})
					}
				}
				s.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: memory.ErrInjected} })
				send(request{method: op.Method, path: path})
				s.store.SetFaults(nil)
			}
			for where, text := range map[string]string{"log": s.log.String(), "audit log": s.audit.String(), "engine's log": engineLog.String(), "answers": answers.String()} {
				secrets := map[string]string{"PAN": pan, "CVV presented": cvv, "token": token, "token's signature": token[strings.LastIndex(token, ".")+1:]}
				if name == "derived" { // five digits are unlikely to occur by chance
					secrets["CVV"] = right
				}
				for what, secret := range secrets {
					if found := regexp.MustCompile(`(^|[^0-9])` + regexp.QuoteMeta(secret) + `($|[^0-9])`).FindStringIndex(text); found != nil {
						t.Errorf("%s in the %s: …%s…", what, where, text[max(0, found[0]-80):min(len(text), found[1]+20)])
					}
				}
			}
			if len(right) != map[string]int{"derived": 5, "random": 3}[name] {
				t.Errorf("a CVV of %d digits", len(right))
			}
		})
	}
}
