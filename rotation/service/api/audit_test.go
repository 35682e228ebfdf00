package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/sim/must"
)

// auditKeys are the attributes of an audit record, in order.
var auditKeys = []string{
	"time", "level", "msg", "operation", "outcome", "card", "account", "at", "changed", "version_before", "version",
	"interval_hours", "locked", "replayed", "detail", "by", "subject", "subject_account", "from", "proxy", "client_certificate", "request_id", "client_request_id", "suppressed",
}

// summaries formats the attributes that differ between records. It checks the others,
// and the order of all.
func summaries(t *testing.T, log *logtest.Buffer) (list []string) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		at := -1
		for _, m := range regexp.MustCompile(`[{,]"([a-z_]+)":`).FindAllStringSubmatch(line, -1) {
			next := slices.Index(auditKeys, m[1])
			if next <= at {
				t.Errorf("%s is not where it should be in %s", m[1], line)
			}
			at = next
		}
	}
	for _, r := range log.Records(t) {
		if r["level"] != "INFO" || r["msg"] != "audit" || r["time"] == nil || r["by"] != "token" || r["from"] != "127.0.0.1" || r["request_id"] == nil || r["client_request_id"] != "r-1" {
			t.Error(r)
		}
		text := fmt.Sprintf("%v/%v %v %v %v:", r["subject_account"], r["subject"], r["operation"], r["card"], r["outcome"])
		for _, key := range []string{"account", "at", "changed", "version_before", "version", "interval_hours", "locked", "replayed"} {
			if v, ok := r[key]; ok {
				text += fmt.Sprintf(" %s=%v", key, v)
			}
		}
		list = append(list, strings.ReplaceAll(text, "<nil>", ""))
	}
	return list
}

// TestAudit_RecordsChangesRevealsAndRefusals makes every kind of call, also those that
// are not recorded.
func TestAudit_RecordsChangesRevealsAndRefusals(t *testing.T) {
	s := newSite(t, setup{engine: engine.Options{MaxTries: 2}})
	do := func(method, path, token, body string, header ...string) {
		s.do(request{method: method, path: path, token: token, body: body, header: append(header, "X-Request-Id", "r-1")})
	}
	eve := s.dev.Token(auth.Caller{Subject: "eve", Account: "other", Scopes: allScopes}, 24*time.Hour)
	anybody := s.dev.Token(auth.Caller{Subject: "desk", Scopes: append(slices.Clone(allScopes), api.ScopeAnyAccount)}, 24*time.Hour)
	const a = "/v1/cards/a"
	do("PUT", a, "", `{"cvv_rotation_interval_hours":24}`)
	do("PUT", a, "", "")
	do("PUT", a, eve, "")
	do("PUT", "/v1/cards/b", anybody, `{"account_id":"acme"}`)
	s.clock.add(time.Hour)
	do("POST", a+"/cvv/rotate", "", "", "Idempotency-Key", "k-1")
	do("POST", a+"/cvv/rotate", "", "", "Idempotency-Key", "k-1")
	do("POST", a+"/cvv/rotate", "", `{"compromised":true}`, "Idempotency-Key", "k-1")
	do("POST", a+"/cvv/rotate", anybody, "")
	do("POST", a+"/cvv/rotate", eve, "")
	do("POST", a+"/cvv/rotate", "", `{"service_code":7}`)
	do("PATCH", a+"/cvv/rotation", "", `{"cvv_rotation_interval_hours":1}`)
	do("PATCH", a+"/cvv/rotation", "", `{"cvv_rotation_interval_hours":1}`)
	do("PATCH", a+"/cvv/rotation", s.token(api.ScopeRead), `{"cvv_rotation_interval_hours":1}`)
	do("DELETE", a+"/cvv/rotation", "", "")
	do("DELETE", a+"/cvv/rotation", "", "")
	do("DELETE", "/v1/cards/unknown/cvv/rotation", "", "")
	do("GET", a+"/cvv", "", "")
	do("HEAD", a+"/cvv", "", "")
	do("GET", a+"/cvv", eve, "")
	do("GET", a+"/cvv", s.token(api.ScopeRead), "")
	do("GET", "/v1/cards/4111111111111111/cvv", "", "")
	s.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{After: memory.ErrInjected} })
	do("POST", a+"/cvv/rotate", "", "")
	s.store.SetFaults(nil)
	right, wrong := s.cvv("a")
	for _, cvv := range []string{right, wrong, wrong, wrong} { // current, wrong, wrong and locks the card, locked already
		do("POST", a+"/cvv/verify", "", `{"cvv":"`+cvv+`"}`)
	}
	do("POST", a+"/cvv/verify", eve, `{"cvv":"`+wrong+`"}`)
	do("POST", a+"/cvv/unlock", "", "")
	do("POST", a+"/cvv/unlock", "", "")

	// Calls that neither change nor reveal are not recorded.
	do("GET", a+"/cvv/rotation", "", "")
	do("POST", a+"/cvv", "", "")
	do("GET", "/openapi.json", "-", "")

	const three, four = "at=2026-11-22T15:00:00Z", "at=2026-11-22T16:00:00Z"
	must.Equal(t, []string{
		"acme/svc-1 register a done: account=acme " + three + " changed=true version=1 interval_hours=24",
		"acme/svc-1 register a done: account=acme " + three + " changed=false version_before=1 version=1 interval_hours=24",
		"other/eve register a other-account: account=acme " + three + " version_before=1",
		"/desk register b done: account=acme " + three + " changed=true version=1",
		"acme/svc-1 rotate a done: account=acme " + four + " changed=true version_before=1 version=2 interval_hours=24",
		"acme/svc-1 rotate a done: account=acme " + four + " changed=false version_before=2 version=2 interval_hours=24 replayed=true",
		"acme/svc-1 rotate a idempotency-key-reused: account=acme " + four + " version_before=2",
		"/desk rotate a done: account=acme " + four + " changed=true version_before=2 version=3 interval_hours=24",
		"other/eve rotate a other-account: account=acme " + four + " version_before=3",
		"acme/svc-1 rotate a invalid-request:",
		"acme/svc-1 set_interval a done: account=acme " + four + " changed=true version_before=3 version=3 interval_hours=1",
		"acme/svc-1 set_interval a done: account=acme " + four + " changed=false version_before=3 version=3 interval_hours=1",
		"acme/svc-1 set_interval a scope-missing:",
		"acme/svc-1 disable a done: account=acme " + four + " changed=true version_before=3 version=3",
		"acme/svc-1 disable a done: account=acme " + four + " changed=false version_before=3 version=3",
		"acme/svc-1 disable unknown no-such-card: " + four,
		"acme/svc-1 reveal a done: account=acme version_before=3 version=3",
		"acme/svc-1 reveal a done: account=acme version_before=3 version=3",
		"other/eve reveal a other-account: account=acme version_before=3",
		"acme/svc-1 reveal a scope-missing:",
		"acme/svc-1 reveal  invalid-request:",
		"acme/svc-1 rotate a internal-error: account=acme " + four + " version_before=3", // the outcome is unknown
		"acme/svc-1 verify a done: account=acme " + four + " changed=true version_before=4 version=4 locked=true",
		"other/eve verify a other-account: account=acme " + four + " version_before=4",
		"acme/svc-1 unlock a done: account=acme " + four + " changed=true version_before=4 version=4",
		"acme/svc-1 unlock a done: account=acme " + four + " changed=false version_before=4 version=4",
	}, summaries(t, &s.audit))
	if strings.Contains(s.audit.String(), "k-1") {
		t.Error("the audit log contains an idempotency key")
	}
}

func TestAudit_HasTheTimeOfTheEvent(t *testing.T) {
	s := newSite(t, setup{})
	s.clock.add(1)
	s.card("a", 0)
	s.clock.add(123456789)
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate"})
	log, err := s.store.ListEvents(context.Background(), 0, 10)
	if err != nil || len(log) != 1 {
		t.Fatal(len(log), err)
	}
	at := s.audit.Records(t)[0]["at"].(string)
	if !strings.Contains(string(log[0].Payload), `"time":"`+at+`"`) {
		t.Errorf("%s is not in %s", at, log[0].Payload)
	}
}

func TestAudit_OmitsRateLimitedCalls(t *testing.T) {
	s := newSite(t, setup{api: api.Options{PerCaller: api.Rate{PerSecond: 1, Burst: 3}, PerCard: api.Rate{PerSecond: 1, Burst: 2}}})
	s.card("a", 0)
	for range 20 {
		s.do(request{method: "GET", path: "/v1/cards/a/cvv"})
	}
	statuses := map[any]int{}
	for _, r := range s.log.Records(t) {
		statuses[r["status"]]++
	}
	if n := len(s.audit.Records(t)); n != 2 || statuses[429.0] != 18 {
		t.Errorf("%d records of %v", n, statuses)
	}
}

// broken is a log handler that fails.
type broken struct{ slog.Handler }

func (broken) Handle(context.Context, slog.Record) error { return errors.New("the disk is full") }

// TestAudit_WriteFailureWithholdsCVV: other calls are answered, and the log gets the
// records.
func TestAudit_WriteFailureWithholdsCVV(t *testing.T) {
	s := newSite(t, setup{api: api.Options{Audit: slog.New(broken{slog.DiscardHandler})}})
	s.card("a", 0)
	right, _ := s.cvv("a")
	a := s.do(request{method: "GET", path: "/v1/cards/a/cvv"})
	if a.status != 503 || strings.Contains(a.raw, `"`+right+`"`) {
		t.Errorf("revealed, status %d", a.status)
	}
	s.do(request{method: "POST", path: "/v1/cards/a/cvv/rotate"}).want(t, 200)
	s.do(request{method: "GET", path: "/v1/cards/b/cvv"}).want(t, 404)
	for want, n := range map[string]int{"the disk is full": 3, `"msg":"audit"`: 3, `"operation":"rotate"`: 1, `"status":503`: 1, `"operation":"reveal","outcome":"unavailable"`: 1} {
		if got := strings.Count(s.log.String(), want); got != n {
			t.Errorf("%s: %d times in the log, want %d", want, got, n)
		}
	}
}

func TestAudit_IgnoresTheLogLevel(t *testing.T) {
	var log logtest.Buffer
	s := newSite(t, setup{api: api.Options{Audit: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))}})
	s.card("a", 0)
	s.do(request{method: "GET", path: "/v1/cards/a/cvv", header: []string{"X-Request-Id", "r-1"}})
	if n := len(summaries(t, &log)); n != 1 {
		t.Errorf("%d records", n)
	}
}

// TestAudit_RecordsExactlyOnceInRandomRuns makes random calls with random faults. Each
// changed card, revealed CVV and refusal has one record, with account and versions.
func TestAudit_RecordsExactlyOnceInRandomRuns(t *testing.T) {
	s := newSite(t, setup{engine: engine.Options{MaxTries: 1}})
	s.unjudged = true
	callers := map[string]string{"nobody": "-"}
	for _, c := range []auth.Caller{
		{Subject: "owner", Account: "acme", Scopes: allScopes},
		{Subject: "eve", Account: "other", Scopes: allScopes},
		{Subject: "desk", Scopes: append(slices.Clone(allScopes), api.ScopeAnyAccount)},
		{Subject: "reader", Account: "acme", Scopes: []string{api.ScopeRead}},
	} {
		callers[c.Subject] = s.dev.Token(c, 1000*time.Hour)
	}
	subjects := []string{"owner", "owner", "desk", "eve", "reader", "nobody"}
	calls := []request{
		{method: "PUT", path: "", body: `{"account_id":"acme"}`},
		{method: "PUT", path: "", body: `{"account_id":"acme","cvv_rotation_interval_hours":2}`},
		{method: "POST", path: "/cvv/rotate"},
		{method: "POST", path: "/cvv/rotate", header: []string{"Idempotency-Key", "k"}},
		{method: "POST", path: "/cvv/rotate", body: `{"service_code":"12"}`},
		{method: "PATCH", path: "/cvv/rotation", body: `{"cvv_rotation_interval_hours":1}`},
		{method: "PATCH", path: "/cvv/rotation", body: `{"cvv_rotation_interval_hours":0}`},
		{method: "DELETE", path: "/cvv/rotation"},
		{method: "GET", path: "/cvv/rotation"},
		{method: "GET", path: "/cvv"},
		{method: "POST", path: "/cvv/verify", body: `{"cvv":"12345"}`},
		{method: "POST", path: "/cvv/unlock"},
	}
	type visible struct {
		Version      int64
		Next, Locked time.Time
	}
	look := func(id string) (v visible, account string) {
		c, _ := s.store.Card(context.Background(), id)
		return visible{c.Version, c.Next, c.Locked}, c.Account
	}
	number := 0
	met := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		number++
		ids := []string{fmt.Sprintf("card-%d-a", number), fmt.Sprintf("card-%d-a", number), fmt.Sprintf("card-%d-b", number)}
		s.card(ids[0], 24*time.Hour)
		for range rapid.IntRange(5, 30).Draw(rt, "calls") {
			s.clock.add(time.Duration(rapid.IntRange(0, 200).Draw(rt, "seconds")) * time.Second)
			id := rapid.SampledFrom(ids).Draw(rt, "card")
			subject := rapid.SampledFrom(subjects).Draw(rt, "subject")
			r := rapid.SampledFrom(calls).Draw(rt, "call")
			r.path, r.token = "/v1/cards/"+id+r.path, callers[subject]
			before, _ := look(id)
			if rapid.IntRange(0, 9).Draw(rt, "fault") == 0 {
				s.store.SetFaults(func(memory.Op) memory.Fault { return memory.Fault{Before: memory.ErrInjected, Again: true} })
			}
			skip := len(s.audit.String())
			answer := s.do(r)
			s.store.SetFaults(nil)
			after, account := look(id)
			lines := logtest.Buffer{}
			lines.Write([]byte(s.audit.String()[skip:]))
			records := lines.Records(t)

			reading := r.method == "GET" && strings.HasSuffix(r.path, "/rotation")
			ordinary := strings.HasSuffix(r.path, "/verify") && answer.status == 200 && before.Locked.Equal(after.Locked)
			if subject == "nobody" && len(records) == 1 && !reading { // up to a rate
				if records[0]["outcome"] != "unauthenticated" || records[0]["subject"] != nil || before != after {
					rt.Fatalf("%s %s by %s: %v, %v, %v", r.method, r.path, subject, records, before, after)
				}
				continue
			}
			if reading || ordinary || subject == "nobody" {
				if len(records) != 0 || before != after {
					rt.Fatalf("%s %s by %s: %d records, %v, %v", r.method, r.path, subject, len(records), before, after)
				}
				continue
			}
			if len(records) != 1 {
				rt.Fatalf("%s %s by %s, answered %d: %d records", r.method, r.path, subject, answer.status, len(records))
			}
			got := records[0]
			want := func(key string, value any) {
				if got[key] != value {
					rt.Fatalf("%s %s by %s, answered %d: %s is %v, want %v, in %v", r.method, r.path, subject, answer.status, key, got[key], value, got)
				}
			}
			want("card", id)
			want("subject", subject)
			if answer.status < 300 {
				want("outcome", "done")
				want("account", account)
				want("version", float64(after.Version))
			} else {
				want("outcome", strings.TrimPrefix(answer.text("type"), "urn:cvvrotation:problem:"))
				want("version", nil)
			}
			if before.Version > 0 && got["version_before"] != nil {
				want("version_before", float64(before.Version))
			}
			if before != after {
				want("changed", true)
				want("at", s.clock.Now().Format(time.RFC3339Nano))
			}
			met[fmt.Sprint(got["operation"], " ", got["outcome"], " ", got["changed"])]++
		}
	})
	for _, situation := range []string{ // that occur with every seed
		"register done true", "register done false", "register other-account <nil>", "rotate done true", "rotate done false", "rotate other-account <nil>",
		"rotate invalid-request <nil>", "set_interval done true", "disable done true", "reveal done <nil>", "reveal other-account <nil>", "verify done true",
	} {
		if met[situation] == 0 {
			t.Errorf("never met: %s", situation)
		}
	}
}
