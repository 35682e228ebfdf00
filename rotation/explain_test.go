package rotation_test

import (
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
)

// One sentence for each rule, and for each way to name a distance.
func TestExplain_NamesEventDistanceAndOutcome(t *testing.T) {
	zero := rotation.State{}
	served := after(t, rules, setInterval(-day, day), autoSlot(0, 0))
	byForced := after(t, rules, setInterval(-day, day), forced(0))
	byInterval := after(t, rules, setFirst(0, 3*time.Minute, time.Minute))
	overdue := after(t, rules, setFirst(0, 3*time.Minute, time.Minute), forced(time.Minute), forced(2*time.Minute), forced(3*time.Minute))
	off := after(t, rules, setInterval(-day, day), forced(0), disable(0))
	for _, test := range []struct {
		s    rotation.State
		e    rotation.Event
		want string
	}{
		{zero, forced(0), "forced: CVV rotated, automatic rotation is off"},
		{off, forced(time.Second), "forced 1s after the forced rotation at 15:00:00: CVV rotated, automatic rotation is off"},
		{served, forced(G - time.Second), "forced 1m59s after the automatic rotation at 15:00:00: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 1)"},
		{byForced, forced(0), "forced at the same instant as the forced rotation: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 3)"},
		{byForced, forced(-time.Second), "forced 1s before the forced rotation at 15:00:00 (the clock stepped back): CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 3)"},
		{byInterval, forced(0), "forced at the same instant as the new interval: CVV rotated, schedule kept, next 2026-11-22T15:01:00Z"},
		{byInterval, forced(ns), "forced 1ns after the new interval at 15:00:00: CVV rotated, schedule kept, next 2026-11-22T15:01:00Z"},
		{served, forced(90 * time.Minute), "forced 1h30m after the automatic rotation at 15:00:00: CVV rotated, rescheduled, next 2026-11-23T16:30:00Z"},
		{served, forced(-day), "forced 24h before the automatic rotation at 2026-11-22T15:00:00Z (the clock stepped back): CVV rotated, rescheduled, next 2026-11-22T15:00:00Z"},
		{off, auto(0), "automatic: nothing done, automatic rotation is off"},
		{off, autoSlot(time.Minute, 0), "automatic 1m after its slot 15:00:00: nothing done, automatic rotation is off"},
		{daily(t), autoSlot(time.Second, -ns), "automatic 1.000000001s after its slot 14:59:59.999999999: nothing done, the schedule has changed, next 2026-11-22T15:00:00Z; the slot differs from the next one by 1ns: a column or message rounded it, use State.Due"},
		{daily(t), autoSlot(time.Second, 500*time.Millisecond), "automatic 500ms after its slot 15:00:00.5: nothing done, the schedule has changed, next 2026-11-22T15:00:00Z; the slot differs from the next one by 500ms: a column or message rounded it, use State.Due"},
		{daily(t), autoSlot(time.Second, time.Second), "automatic at its slot: nothing done, the schedule has changed, next 2026-11-22T15:00:00Z"},
		{daily(t), auto(time.Second), "automatic: CVV rotated, rescheduled, next 2026-11-23T15:00:00Z"},
		{daily(t), autoSlot(0, 0), "automatic at its slot: CVV rotated, rescheduled, next 2026-11-23T15:00:00Z"},
		{daily(t), autoSlot(time.Second, 0), "automatic 1s after its slot 15:00:00: CVV rotated, rescheduled, next 2026-11-23T15:00:00Z"},
		{daily(t), autoSlot(day, 0), "automatic 24h after its slot 2026-11-22T15:00:00Z: CVV rotated, rescheduled, 1 slot missed, next 2026-11-24T15:00:00Z"},
		{daily(t), autoSlot(14*day, 0), "automatic 336h after its slot 2026-11-22T15:00:00Z: CVV rotated, rescheduled, 14 slots missed, next 2026-12-07T15:00:00Z"},
		{byForced, auto(time.Second), "automatic 1s after the forced rotation at 15:00:00: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 2)"},
		{byInterval, autoSlot(time.Minute, time.Minute), "automatic at its slot, 1m after the new interval at 15:00:00: CVV rotated, schedule kept, next 2026-11-22T15:04:00Z"},
		{overdue, autoSlot(4*time.Minute, time.Minute), "automatic 3m after its slot 15:01:00, 1m after the forced rotation at 15:03:00: CVV rotated, schedule kept, 1 slot missed, next 2026-11-22T15:07:00Z (scenario 2)"},
		{daily(t), auto(-time.Minute), "automatic: CVV rotated, rescheduled, next 2026-11-23T14:59:00Z"},
		{zero, setInterval(0, day), "interval set to 24h: new schedule, next 2026-11-23T15:00:00Z"},
		{zero, setFirst(0, 90*time.Minute, time.Minute), "interval set to 1h30m: new schedule, next 2026-11-22T15:01:00Z"},
		{daily(t), setInterval(0, day), "interval set to 24h: nothing done, the interval is unchanged, next 2026-11-22T15:00:00Z"},
		{daily(t), disable(0), "automatic rotation turned off: no next rotation"},
		{zero, disable(0), "automatic rotation turned off: no next rotation"},
		{served, autoSlot(0, day), "automatic 24h before its slot 2026-11-23T15:00:00Z: nothing done, not due, next 2026-11-23T15:00:00Z"},
		{served, autoSlot(time.Second, 0), "automatic 1s after its slot 15:00:00: nothing done, delivered twice, next 2026-11-23T15:00:00Z"},
		{byForced, autoSlot(time.Hour, -time.Hour), "automatic 2h after its slot 14:00:00: nothing done, the schedule has changed, next 2026-11-23T15:00:00Z"},
		{byForced, autoSlot(time.Second, -time.Second), "automatic 2s after its slot 14:59:59, 1s after the forced rotation at 15:00:00: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 2)"},
		{zero, rotation.Event{}, "rotation: Kind(0): event: unknown event kind: one of forced, auto, set_interval, disable is needed"},
		{zero, rotation.Forced(time.Time{}), "rotation: forced: at: outside the years 1970 to 2200"},
	} {
		t.Run(test.want, func(t *testing.T) {
			if got := rules.Explain(test.s, test.e); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// A record without the guard's start names the guard, and no distance that is not known.
func TestExplainRecord_NamesTheGuardWhereItsStartIsNotKnown(t *testing.T) {
	guarded := must.Get(rotation.NewRules(5*time.Minute, rotation.GuardFromScheduling))(t)
	next := at(day)
	for _, test := range []struct {
		rules rotation.Rules
		x     rotation.Record
		want  string
	}{
		{rules, rotation.Record{Event: forced(0), Decision: rotation.Decision{Rule: rotation.R2, Scenario: 1}, Next: next, GuardBy: rotation.KindAuto},
			"forced within 2m of the automatic rotation: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z (scenario 1)"},
		{rules, rotation.Record{Event: autoSlot(1, 0), Decision: rotation.Decision{Rule: rotation.R6}, Next: next},
			"automatic 1ns after its slot 15:00:00, within 2m of the previous request: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z"},
		{guarded, rotation.Record{Event: auto(0), Decision: rotation.Decision{Rule: rotation.R6}, Next: next},
			"automatic within 5m of the last scheduling: CVV rotated, schedule kept, next 2026-11-23T15:00:00Z"},
		{rules, rotation.Record{Event: forced(0), Decision: rotation.Decision{Rule: rotation.R3}, Next: next, GuardBy: rotation.KindAuto},
			"forced: CVV rotated, rescheduled, next 2026-11-23T15:00:00Z"},
		{rules, rotation.Record{Event: setFirst(0, day, day), Decision: rotation.Decision{Rule: rotation.R8}, Next: next, Repaired: true},
			"next rotation repaired, it was more than one interval ahead (clock step): new schedule, next 2026-11-23T15:00:00Z"},
	} {
		t.Run(test.want, func(t *testing.T) {
			if got := test.rules.ExplainRecord(test.x); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}
