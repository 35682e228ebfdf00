package timeline_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

// daemonEvent returns the JSON of an event; members are appended to data.
func daemonEvent(number, operation, members string) string {
	return `{"specversion":"1.0","id":"c1.` + number + `","source":"/","type":"card.cvv.changed.v1","subject":"c1","partitionkey":"c1",` +
		`"time":"2026-11-22T15:00:00Z","datacontenttype":"application/json","data":{"card_id":"c1","account_id":"acme","event_number":` + number +
		`,"operation_type":"` + operation + `","cvv_version":1,` + members + `}}`
}

const (
	dailyMembers = `"cvv_next_rotation_date":"2026-11-23T15:00:00Z","cvv_rotation_interval_hours":24,`
	manual       = `"cvv_rotation_type":"MANUAL",` + dailyMembers + `"rescheduled":true,"reason":"scheduled","scenario":0`
	fiveMinutes  = `,"rules":{"guard":"5m","guard_from":"scheduling"}`
)

func TestReader_ReadsDaemonEvents(t *testing.T) {
	const judged = timeline.FieldRotate | timeline.FieldReschedule | timeline.FieldReason | timeline.FieldScenario | timeline.FieldNext
	instant, next, day := at("2026-11-22T15:00:00Z"), at("2026-11-23T15:00:00Z"), 24*time.Hour
	changed := daemonEvent("1", "CHANGE_CVV_ROTATION", dailyMembers+`"rescheduled":true,"reason":"interval_set","scenario":0`)
	changedEntry := timeline.Entry{Line: 1, Number: 1, Card: "c1", Event: rotation.SetIntervalFirst(instant, day, next), Expect: timeline.Expect{
		Fields: judged, Reschedule: true, Reason: rotation.ReasonIntervalSet, Next: next,
	}}
	manualEntry := timeline.Entry{Line: 1, Number: 2, Card: "c1", Event: rotation.Forced(instant), Expect: timeline.Expect{
		Fields: judged | timeline.FieldInterval, Rotate: true, Reschedule: true, Reason: rotation.ReasonScheduled, Next: next, Interval: day,
	}}
	onLine := func(e timeline.Entry, line int) timeline.Entry { e.Line = line; return e }
	for _, tt := range []struct {
		name, source                 string
		want                         []timeline.Entry
		skipped, unreadable, firstAt int
	}{
		{"a new interval", changed, []timeline.Entry{changedEntry}, 0, 0, 0},
		{"a repair", strings.Replace(changed, `"scenario":0`, `"scenario":0,"repaired":true`, 1), []timeline.Entry{changedEntry}, 0, 0, 0},
		{"a forced rotation", daemonEvent("2", "ROTATE_CVV", manual), []timeline.Entry{manualEntry}, 0, 0, 0},
		{"of a compromised CVV", daemonEvent("2", "ROTATE_CVV", manual+`,"compromised":true`), []timeline.Entry{manualEntry}, 0, 0, 0},
		{"an automatic rotation", daemonEvent("3", "ROTATE_CVV", `"cvv_rotation_type":"AUTOMATIC",`+dailyMembers+`"rescheduled":false,"reason":"guard","scenario":2,"missed":4`),
			[]timeline.Entry{{Line: 1, Number: 3, Card: "c1", Event: rotation.AutoUnslotted(instant), Expect: timeline.Expect{
				Fields: judged | timeline.FieldMissed | timeline.FieldInterval, Rotate: true, Reason: rotation.ReasonGuard, Scenario: 2, Missed: 4, Next: next, Interval: day,
			}}}, 0, 0, 0},
		{"an automatic rotation with its slot", daemonEvent("3", "ROTATE_CVV", `"cvv_rotation_type":"AUTOMATIC",`+dailyMembers+`"rescheduled":false,"reason":"guard","scenario":2,"missed":0,"slot":"2026-11-22T14:59:00Z"`),
			[]timeline.Entry{{Line: 1, Number: 3, Card: "c1", Event: rotation.AutoSlot(instant, at("2026-11-22T14:59:00Z")), Expect: timeline.Expect{
				Fields: judged | timeline.FieldMissed | timeline.FieldInterval, Rotate: true, Reason: rotation.ReasonGuard, Scenario: 2, Next: next, Interval: day,
			}}}, 0, 0, 0},
		{"rotation turned off", daemonEvent("4", "DELETE_CVV_ROTATION", `"cvv_next_rotation_date":null,"cvv_rotation_interval_hours":null,"rescheduled":false,"reason":"rotation_off","scenario":0`),
			[]timeline.Entry{{Line: 1, Number: 4, Card: "c1", Event: rotation.Disable(instant), Expect: timeline.Expect{
				Fields: judged | timeline.FieldInterval, Reason: rotation.ReasonRotationOff,
			}}}, 0, 0, 0},

		{"as cvvd events tail prints it", `{"position":17,"status":"parked","attempts":3,"failure":"410 Gone","event":` + changed + `}`, []timeline.Entry{changedEntry}, 0, 0, 0},
		{"with attributes of a broker", `{"traceparent":"00-1-2-01",` + changed[1:], []timeline.Entry{changedEntry}, 0, 0, 0},
		{"with members of a newer form", strings.Replace(changed, `"data":{`, `"data":{"newer":{"event":{}},`, 1), []timeline.Entry{changedEntry}, 0, 0, 0},
		{"behind a name and a time", "cvvd-1  | 2026-11-22T15:00:00Z INFO " + changed, []timeline.Entry{changedEntry}, 0, 0, 0},
		{"behind a byte order mark", "\ufeff" + changed + "\r\n", []timeline.Entry{changedEntry}, 0, 0, 0},
		{"among the daemon's own log", `{"time":"2026-11-22T15:00:00Z","level":"INFO","msg":"listening"}` + "\nstarted\n\n" + changed + "\n" +
			`{"level":"WARN","event":{"type":"x"}}` + "\npanic: {\n\tmain.go:1\n" + daemonEvent("2", "ROTATE_CVV", manual),
			[]timeline.Entry{onLine(changedEntry, 4), onLine(manualEntry, 8)}, 2, 3, 2},
		{"among other events", strings.Replace(changed, "changed.v1", "changed.v2", 1) + "\n" + changed, []timeline.Entry{onLine(changedEntry, 2)}, 1, 0, 0},
		{"twice", changed + "\n" + changed, []timeline.Entry{changedEntry, onLine(changedEntry, 2)}, 0, 0, 0},
		{"the last line cut off", changed + "\n" + changed[:200], []timeline.Entry{changedEntry}, 0, 1, 2},
		{"a line cut off and continued", changed + "\n" + changed[:200] + changed, []timeline.Entry{changedEntry}, 0, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := timeline.NewReader(strings.NewReader(tt.source), "test")
			got, err := allOf(r)
			must.Do(t, err)
			if diff := cmp.Diff(tt.want, got); diff != "" || !r.DaemonEvents() {
				t.Errorf("DaemonEvents %t (-want +got):\n%s", r.DaemonEvents(), diff)
			}
			if lines, first := r.Unreadable(); r.Skipped() != tt.skipped || lines != tt.unreadable || first != tt.firstAt {
				t.Errorf("skipped %d, unreadable %d from line %d", r.Skipped(), lines, first)
			}
		})
	}
}

func TestReader_TakesTheRulesFromDaemonEvents(t *testing.T) {
	five := must.Get(rotation.NewRules(5*time.Minute, rotation.GuardFromScheduling))(t)
	source := daemonEvent("1", "ROTATE_CVV", manual+fiveMinutes) + "\n" + daemonEvent("2", "ROTATE_CVV", manual)
	r := timeline.NewReader(strings.NewReader(source), "test")
	if rules := must.Get(r.Rules())(t); rules != five {
		t.Errorf("rules %v", rules)
	}
	must.Get(r.Next())(t)
	if _, err := r.Next(); !errors.Is(err, timeline.ErrHeader) || !strings.Contains(err.Error(), "test:2") || !strings.Contains(err.Error(), "--guard") {
		t.Errorf("other rules: %v", err)
	}
	r = timeline.NewReader(strings.NewReader(source), "test")
	r.IgnoreRules()
	if got, err := allOf(r); err != nil || len(got) != 2 {
		t.Errorf("%d entries, %v", len(got), err)
	}
}

func TestReader_NamesTheBadDaemonEvent(t *testing.T) {
	good := daemonEvent("1", "ROTATE_CVV", manual)
	for name, tt := range map[string]struct {
		source string
		line   string
		want   error
	}{
		"a contradiction":         {good + "\n" + strings.Replace(good, `"rescheduled":true`, `"rescheduled":false`, 1), "test:2", event.ErrEvent},
		"the first one":           {strings.Replace(good, `"scenario":0`, `"scenario":7`, 1), "test:1", event.ErrEvent},
		"none at all":             {"banner\n" + `{"level":"INFO"}`, "test:1", timeline.ErrSyntax},
		"behind a timeline entry": {"2026-11-22T15:00:00Z A forced\n" + good, "test:2", timeline.ErrSyntax},
		"behind a header":         {`{"timeline":1}` + "\n" + good, "test:2", timeline.ErrSyntax},
		"too late":                {strings.Repeat("banner\n", 1001) + good, "test:1", timeline.ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := readAll(tt.source); !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), tt.line) {
				t.Errorf("error %v, want %v at %s", err, tt.want, tt.line)
			}
		})
	}
}
