package rotation_test

import (
	"errors"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
)

// One test per numbered rule of docs/rules.md, the rule's sentence above it.
// Each row is an event and everything that follows from it; see show.

var rules rotation.Rules // the documented ones: 2 minutes, from the request

func forced(d time.Duration) rotation.Event         { return rotation.Forced(at(d)) }
func auto(d time.Duration) rotation.Event           { return rotation.AutoUnslotted(at(d)) }
func autoSlot(d, slot time.Duration) rotation.Event { return rotation.AutoSlot(at(d), at(slot)) }
func disable(d time.Duration) rotation.Event        { return rotation.Disable(at(d)) }
func setInterval(d, interval time.Duration) rotation.Event {
	return rotation.SetInterval(at(d), interval)
}
func setFirst(d, interval, first time.Duration) rotation.Event {
	return rotation.SetIntervalFirst(at(d), interval, at(first))
}

// daily is a card that rotates every 24 hours, next at the instant start, and
// last heard of a day before.
func daily(t testing.TB) rotation.State {
	return after(t, rules, setInterval(-day, day))
}

// "forced, rotation off: rotates; schedule none; rotation_off"
func TestR01_ForcedWithRotationOffRotates(t *testing.T) {
	run(t, rules, rotation.State{},
		step{forced(0), "R1 rotation_off, rotate; off, guard forced +0s"},
		step{forced(ns), "R1 rotation_off, rotate; off, guard forced +1ns"},
		step{forced(day), "R1 rotation_off, rotate; off, guard forced +24h"},
	)
	run(t, rules, after(t, rules, setInterval(-day, day), autoSlot(0, 0), disable(ns)),
		step{forced(time.Second), "R1 rotation_off, rotate; off, guard forced +1s, served +0s"},
	)
}

// "forced, held: rotates; schedule untouched; guard"
func TestR02_ForcedWithinGuardKeepsSchedule(t *testing.T) {
	s := after(t, rules, setInterval(-day, day), autoSlot(0, 0))
	for _, row := range []step{
		{forced(0), "R2 guard, scenario 1, rotate; every 24h, next +24h, guard forced +0s, served +0s"},
		{forced(G - ns), "R2 guard, scenario 1, rotate; every 24h, next +24h, guard forced +1m59.999999999s, served +0s"},
		{forced(-G + ns), "R2 guard, scenario 1, rotate; every 24h, next +24h, guard forced -1m59.999999999s, served +0s"},
		{forced(G), "R3 scheduled, rotate, reschedule; every 24h, next +24h2m, guard forced +2m, served +0s"},
		{forced(-G), "R3 scheduled, rotate, reschedule; every 24h, next +23h58m, guard forced -2m, served +0s"},
	} {
		run(t, rules, s, row)
	}
	// An overdue slot stays overdue.
	run(t, rules, after(t, rules, setFirst(0, day, ns)),
		step{forced(time.Second), "R2 guard, rotate; every 24h, next +1ns, guard forced +1s"},
	)
}

// "forced, not held: rotates; schedule new: next = t + I; scheduled"
func TestR03_ForcedSchedulesOneIntervalAhead(t *testing.T) {
	for _, row := range []step{
		{forced(-day + G - ns), "R2 guard, rotate; every 24h, next +0s, guard forced -23h58m0.000000001s"},
		{forced(-day + G), "R3 scheduled, rotate, reschedule; every 24h, next +2m, guard forced -23h58m"},
		{forced(-day + G + ns), "R3 scheduled, rotate, reschedule; every 24h, next +2m0.000000001s, guard forced -23h57m59.999999999s"},
		{forced(-ns), "R3 scheduled, rotate, reschedule; every 24h, next +23h59m59.999999999s, guard forced -1ns"},
		{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
		{forced(5*day + ns), "R3 scheduled, rotate, reschedule; every 24h, next +144h0m0.000000001s, guard forced +120h0m0.000000001s"},
	} {
		run(t, rules, daily(t), row)
	}
}

// "auto, rotation off: does not rotate; schedule none; rotation_off". R4 comes
// before R11 to R14, so the slot makes no difference.
func TestR04_AutoWithRotationOffDoesNothing(t *testing.T) {
	off := after(t, rules, setInterval(-day, day), autoSlot(0, 0), forced(time.Second), disable(time.Second))
	const same = "R4 rotation_off; off, guard forced +1s, served +0s"
	run(t, rules, off,
		step{auto(time.Second), same},
		step{auto(day), same},
		step{autoSlot(day, day), same},
		step{autoSlot(2*day, day), same}, // late
		step{autoSlot(day, 2*day), same}, // early
		step{autoSlot(day, 0), same},     // served
	)
	run(t, rules, rotation.State{}, step{autoSlot(0, 0), "R4 rotation_off; off"})
}

// "auto, not held, next ≤ t: rotates; schedule new, on the same phase: the
// first next + k·I after t; scheduled"
func TestR05_AutoKeepsPhase(t *testing.T) {
	for _, row := range []step{
		{auto(-ns), "R7 scheduled, rotate, reschedule; every 24h, next +23h59m59.999999999s, guard auto -1ns"},
		{auto(0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +0s, served +0s"},
		{autoSlot(0, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +0s, served +0s"},
		{autoSlot(ns, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +1ns, served +0s"},
		{autoSlot(day-ns, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +23h59m59.999999999s, served +0s"},
		{autoSlot(day, 0), "R5 scheduled, missed 1, rotate, reschedule; every 24h, next +48h, guard auto +24h, served +24h"},
		{autoSlot(day+ns, 0), "R5 scheduled, missed 1, rotate, reschedule; every 24h, next +48h, guard auto +24h0m0.000000001s, served +24h"},
	} {
		run(t, rules, daily(t), row)
	}
	// Exactly a guard after the previous request is not held.
	s := after(t, rules, setFirst(0, time.Hour, G-ns))
	run(t, rules, s, step{auto(G - ns), "R6 guard, rotate; every 1h, next +1h1m59.999999999s, guard auto +1m59.999999999s, served +1m59.999999999s"})
	run(t, rules, s, step{auto(G), "R5 scheduled, rotate, reschedule; every 1h, next +1h1m59.999999999s, guard auto +2m, served +1m59.999999999s"})
}

// "auto, held: rotates; no new schedule: next moves along its phase past t if
// next ≤ t, else untouched; guard"
func TestR06_AutoWithinGuardAdvancesAlongPhase(t *testing.T) {
	run(t, rules, daily(t),
		step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
		step{auto(ns), "R6 guard, scenario 2, rotate; every 24h, next +24h, guard auto +1ns"},
		step{auto(2 * ns), "R6 guard, rotate; every 24h, next +24h, guard auto +2ns"},
	)
	// Due, by one slot and by many: forced calls a minute apart keep the card held.
	chain := after(t, rules, setFirst(0, 3*time.Minute, time.Minute), forced(time.Minute), forced(2*time.Minute), forced(3*time.Minute))
	for _, row := range []step{
		{auto(4*time.Minute - ns), "R6 guard, scenario 2, rotate; every 3m, next +4m, guard auto +3m59.999999999s, served +1m"},
		{auto(4 * time.Minute), "R6 guard, scenario 2, missed 1, rotate; every 3m, next +7m, guard auto +4m, served +4m"},
		{autoSlot(4*time.Minute, time.Minute), "R6 guard, scenario 2, missed 1, rotate; every 3m, next +7m, guard auto +4m, served +4m"},
		{auto(time.Minute), "R5 scheduled, rotate, reschedule; every 3m, next +4m, guard auto +1m, served +1m"}, // stepped back by G
		{auto(time.Minute + ns), "R6 guard, scenario 2, rotate; every 3m, next +4m, guard auto +1m0.000000001s, served +1m"},
	} {
		run(t, rules, chain, row)
	}
}

// "auto without a slot, not held, next > t (the host's own timer): rotates;
// schedule new: next = t + I; scheduled"
func TestR07_EarlyAutoWithoutSlotSchedulesOneIntervalAhead(t *testing.T) {
	run(t, rules, daily(t), step{auto(-day + G - ns), "R6 guard, rotate; every 24h, next +0s, guard auto -23h58m0.000000001s"})
	run(t, rules, daily(t), step{auto(-day + G), "R7 scheduled, rotate, reschedule; every 24h, next +2m, guard auto -23h58m"})
	run(t, rules, daily(t), step{auto(-ns), "R7 scheduled, rotate, reschedule; every 24h, next +23h59m59.999999999s, guard auto -1ns"})
}

// "set_interval I′: does not rotate; schedule new: next = t + I′, or `first`
// where given (t < first ≤ t + I′); interval_set"
func TestR08_SetIntervalSchedules(t *testing.T) {
	for _, row := range []step{
		{setInterval(0, day), "R8 interval_set, reschedule; every 24h, next +24h, guard set_interval +0s"},
		{setInterval(0, G+ns), "R8 interval_set, reschedule; every 2m0.000000001s, next +2m0.000000001s, guard set_interval +0s"},
		{setInterval(0, G), "refused interval"},
		{setFirst(0, day, ns), "R8 interval_set, reschedule; every 24h, next +1ns, guard set_interval +0s"},
		{setFirst(0, day, day), "R8 interval_set, reschedule; every 24h, next +24h, guard set_interval +0s"},
		{setFirst(0, day, 0), "refused first"},
		{setFirst(0, day, day+ns), "refused first"},
	} {
		run(t, rules, rotation.State{}, row)
	}
	// Nothing holds it, it never rotates, an overdue slot is dropped, and what
	// was served stays so.
	run(t, rules, after(t, rules, setInterval(-day, day), autoSlot(0, 0)),
		step{setInterval(ns, time.Hour), "R8 interval_set, reschedule; every 1h, next +1h0m0.000000001s, guard set_interval +1ns, served +0s"},
		step{setFirst(5*time.Hour, time.Hour, 5*time.Hour+time.Minute), "R8 interval_set, reschedule; every 1h, next +5h1m, guard set_interval +5h, served +0s"},
	)
}

// "set_interval with the interval in force and no `first` (or first = next):
// does not rotate; schedule untouched, and so is the guard; unchanged"
func TestR09_SameIntervalChangesNothing(t *testing.T) {
	const same = "R9 unchanged; every 24h, next +0s, guard set_interval -24h"
	for _, row := range []step{
		{setInterval(-day, day), same},
		{setInterval(-ns, day), same},
		{setInterval(time.Hour, day), same}, // overdue: the due slot is not dropped
		{setFirst(-ns, day, 0), same},
		{setFirst(-ns, day, ns), "R8 interval_set, reschedule; every 24h, next +1ns, guard set_interval -1ns"},
		{setInterval(-ns, day+ns), "R8 interval_set, reschedule; every 24h0m0.000000001s, next +24h, guard set_interval -1ns"},
		{setFirst(-ns, day+ns, 0), "R8 interval_set, reschedule; every 24h0m0.000000001s, next +0s, guard set_interval -1ns"},
		{setFirst(0, day, 0), "refused first"}, // R22 comes first
	} {
		run(t, rules, daily(t), row)
	}
}

// "disable: does not rotate; schedule none, interval forgotten; rotation_off"
func TestR10_DisableForgetsInterval(t *testing.T) {
	run(t, rules, rotation.State{}, step{disable(0), "R10 rotation_off; off"})
	run(t, rules, after(t, rules, setInterval(-day, day), autoSlot(0, 0)),
		step{disable(ns), "R10 rotation_off; off, guard auto +0s, served +0s"},
		step{disable(ns), "R10 rotation_off; off, guard auto +0s, served +0s"},
		// Forgotten: the same interval is a new one, with a new schedule.
		step{setInterval(time.Hour, day), "R8 interval_set, reschedule; every 24h, next +25h, guard set_interval +1h, served +0s"},
	)
}

// "t < slot: nothing happens; not_due"
func TestR11_SlotAheadIsNotDue(t *testing.T) {
	const same = "R11 not_due; every 24h, next +0s, guard set_interval -24h"
	for _, row := range []step{
		{autoSlot(-ns, 0), same},
		{autoSlot(0, ns), same},            // not a slot, and ahead
		{autoSlot(-day+ns, 0), same},       // also while held
		{autoSlot(0, 365*day), same},       // however far
		{autoSlot(-2*day, -2*day+1), same}, // also when the clock stepped back
	} {
		run(t, rules, daily(t), row)
	}
	run(t, rules, daily(t), step{autoSlot(0, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +0s, served +0s"})
}

// "slot ≠ next and slot ≤ newest slot served: nothing happens: delivered twice;
// duplicate"
func TestR12_ServedSlotIsDuplicate(t *testing.T) {
	served := after(t, rules, setInterval(-day, day), autoSlot(0, 0))
	const same = "R12 duplicate; every 24h, next +24h, guard auto +0s, served +0s"
	for _, row := range []step{
		{autoSlot(0, 0), same},     // at once
		{autoSlot(G, 0), same},     // later
		{autoSlot(G, -ns), same},   // any slot before it
		{autoSlot(ns, -day), same}, // also while held
		{autoSlot(day, 0), same},   // also when the next one is due
		{autoSlot(G, ns), "R13 superseded; every 24h, next +24h, guard auto +0s, served +0s"},
		{autoSlot(G-ns, ns), "R14 guard, rotate; every 24h, next +24h, guard auto +1m59.999999999s, served +1ns"},
	} {
		run(t, rules, served, row)
	}
	// A slot skipped by a late one counts as served.
	run(t, rules, after(t, rules, setInterval(-day, day), autoSlot(3*day, 0)),
		step{autoSlot(3*day+time.Hour, 2*day), "R12 duplicate; every 24h, next +96h, guard auto +72h, served +72h"},
	)
	// slot = next is served again when a schedule set anew names it again.
	run(t, rules, after(t, rules, setInterval(-day, day), autoSlot(0, 0), setFirst(-time.Hour, day, 0)),
		step{autoSlot(0, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +0s, served +0s"},
	)
}

// "slot ≠ next, not held: nothing happens: the schedule has moved on;
// superseded"
func TestR13_OtherSlotIsSuperseded(t *testing.T) {
	moved := after(t, rules, setInterval(-day, day), forced(-time.Hour)) // 0 is no slot any more: +23h is
	const same = "R13 superseded; every 24h, next +23h, guard forced -1h"
	for _, row := range []step{
		{autoSlot(0, 0), same},
		{autoSlot(day, 0), same},              // also when next is due
		{autoSlot(day, 23*time.Hour+1), same}, // also when newer than next
		{autoSlot(-time.Hour+G, -time.Hour), same},
		{autoSlot(-time.Hour+G-ns, -time.Hour), "R14 guard, scenario 2, rotate; every 24h, next +23h, guard auto -58m0.000000001s, served -1h"},
	} {
		run(t, rules, moved, row)
	}
}

// "slot ≠ next, held: as R6: this is S2, a timer that was already in flight;
// guard"
func TestR14_OtherSlotWithinGuardRotates(t *testing.T) {
	inFlight := after(t, rules, setInterval(-day, day), forced(ns)) // 1 ns after its slot, which arrives late
	for _, row := range []step{
		{autoSlot(ns, 0), "R14 guard, scenario 2, rotate; every 24h, next +24h0m0.000000001s, guard auto +1ns, served +0s"},
		{autoSlot(G, 0), "R14 guard, scenario 2, rotate; every 24h, next +24h0m0.000000001s, guard auto +2m, served +0s"},
		{autoSlot(G+ns, 0), "R13 superseded; every 24h, next +24h0m0.000000001s, guard forced +1ns"},
		{autoSlot(0, 0), "R14 guard, scenario 2, rotate; every 24h, next +24h0m0.000000001s, guard auto +0s, served +0s"},
	} {
		run(t, rules, inFlight, row)
	}
	// It happens once: the same timer again is a duplicate.
	run(t, rules, inFlight,
		step{autoSlot(time.Second, 0), "R14 guard, scenario 2, rotate; every 24h, next +24h0m0.000000001s, guard auto +1s, served +0s"},
		step{autoSlot(time.Second, 0), "R12 duplicate; every 24h, next +24h0m0.000000001s, guard auto +1s, served +0s"},
	)
	// As R6 also where next is due: it moves along its phase.
	run(t, rules, after(t, rules, setFirst(0, 3*time.Minute, time.Minute)),
		step{autoSlot(time.Minute+2, time.Minute+1), "R14 guard, rotate; every 3m, next +4m, guard auto +1m0.000000002s, served +1m0.000000001s"},
	)
}

// "A forced event always rotates. Nothing refuses it: not the guard, not the
// clock, not a missing schedule."
func TestR15_ForcedAlwaysRotates(t *testing.T) {
	states := []rotation.State{
		{}, daily(t),
		after(t, rules, setInterval(-day, day), autoSlot(0, 0)),
		after(t, rules, setInterval(-day, day), forced(0), disable(0)),
		after(t, rules, rotation.SetInterval(endOfYears.Add(-ns), rotation.MaxInterval)),
	}
	for _, s := range states {
		for _, at := range []time.Time{
			time.Unix(0, 0), at(-day), at(-ns), at(0), at(ns), at(G), at(day), endOfYears.Add(-ns),
		} {
			if _, d, err := rules.Decide(s, rotation.Forced(at)); err != nil || !d.Rotate() {
				t.Errorf("forced at %v from %v: %v, %v", at, s, d, err)
			}
		}
	}
}

// "The guard starts at the previous scheduling request: every event that
// rotates asks for a scheduling and restarts the guard, whether or not it got
// one; so does R8. … A host may choose instead to measure from the last
// scheduling that took place".
func TestR16_GuardStartsAtPreviousRequest(t *testing.T) {
	scheduling := newRules(t, G, rotation.GuardFromScheduling)
	// No step here is two minutes after the one before, so only the first is
	// not held; measured from the scheduling, every other one is.
	run(t, rules, daily(t),
		step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
		step{auto(90 * time.Second), "R6 guard, scenario 2, rotate; every 24h, next +24h, guard auto +1m30s"},
		step{forced(150 * time.Second), "R2 guard, scenario 1, rotate; every 24h, next +24h, guard forced +2m30s"},
		step{forced(150*time.Second + G - ns), "R2 guard, scenario 3, rotate; every 24h, next +24h, guard forced +4m29.999999999s"},
	)
	run(t, scheduling, daily(t),
		step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
		step{auto(90 * time.Second), "R6 guard, scenario 2, rotate; every 24h, next +24h, guard forced +0s"},
		step{forced(150 * time.Second), "R3 scheduled, rotate, reschedule; every 24h, next +24h2m30s, guard forced +2m30s"},
		step{forced(150*time.Second + G - ns), "R2 guard, scenario 3, rotate; every 24h, next +24h2m30s, guard forced +2m30s"},
	)
	// Rotation off: a request, but no scheduling.
	run(t, rules, rotation.State{}, step{forced(0), "R1 rotation_off, rotate; off, guard forced +0s"})
	run(t, scheduling, rotation.State{}, step{forced(0), "R1 rotation_off, rotate; off"})
	// R5, R7 and R8 start it either way; R9, R10 and R11 to R13 do not.
	for _, rules := range []rotation.Rules{rules, scheduling} {
		run(t, rules, daily(t),
			step{autoSlot(0, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +0s, served +0s"},
			step{auto(time.Hour), "R7 scheduled, rotate, reschedule; every 24h, next +25h, guard auto +1h, served +0s"},
			step{setInterval(2*time.Hour, time.Hour), "R8 interval_set, reschedule; every 1h, next +3h, guard set_interval +2h, served +0s"},
			step{setInterval(150*time.Minute, time.Hour), "R9 unchanged; every 1h, next +3h, guard set_interval +2h, served +0s"},
			step{autoSlot(150*time.Minute, 3*time.Hour), "R11 not_due; every 1h, next +3h, guard set_interval +2h, served +0s"},
			step{autoSlot(150*time.Minute, 0), "R12 duplicate; every 1h, next +3h, guard set_interval +2h, served +0s"},
			step{autoSlot(150*time.Minute, time.Hour), "R13 superseded; every 1h, next +3h, guard set_interval +2h, served +0s"},
			step{disable(150 * time.Minute), "R10 rotation_off; off, guard set_interval +2h, served +0s"},
		)
	}
	// The guard's length is a setting; a guard of 0 holds nothing.
	run(t, newRules(t, 0, rotation.GuardFromRequest), daily(t),
		step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
		step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
	)
	run(t, newRules(t, time.Hour, rotation.GuardFromRequest), daily(t),
		step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
		step{forced(time.Hour - ns), "R2 guard, scenario 3, rotate; every 24h, next +24h, guard forced +59m59.999999999s"},
	)
}

// "A late auto does not move the phase, and slots missed while nothing ran are
// not made up: one rotation, then the next slot. missed counts the slots
// skipped. It is computed, not looped."
func TestR17_LateAutoCountsMissedSlots(t *testing.T) {
	run(t, rules, daily(t),
		step{autoSlot(14*day+time.Hour, 0), "R5 scheduled, missed 14, rotate, reschedule; every 24h, next +360h, guard auto +337h, served +336h"},
		step{autoSlot(15*day, 15*day), "R5 scheduled, rotate, reschedule; every 24h, next +384h, guard auto +360h, served +360h"},
	)
	// 62 million slots, at once.
	first := time.Unix(0, 0).UTC().Add(G + ns)
	_, d, err := rules.Decide(
		after(t, rules, rotation.SetInterval(time.Unix(0, 0), G+ns)),
		rotation.AutoSlot(endOfYears.Add(-ns), first),
	)
	if want := int64(endOfYears.Add(-ns).Sub(first) / (G + ns)); err != nil || d.Missed != want {
		t.Errorf("missed %d, %v; want %d", d.Missed, err, want)
	}
}

// "After R5 and R6, next > t. While a card's instants do not step back,
// next ≤ t + I after every event with rotation on." TestNextIsAhead has it for
// any timeline; here is why the second half needs its condition.
func TestR18_NextIsAhead(t *testing.T) {
	s := run(t, rules, daily(t), step{autoSlot(0, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +0s, served +0s"})
	run(t, rules, s, step{forced(-ns), "R2 guard, scenario 1, rotate; every 24h, next +24h, guard forced -1ns, served +0s"})
}

// "The newest slot served becomes the largest of: itself, the event's slot, and
// for a due auto (next ≤ t) the last slot ≤ t."
func TestR19_ServedIsNewestSlot(t *testing.T) {
	// The last slot ≤ t.
	run(t, rules, daily(t), step{autoSlot(2*day-ns, 0), "R5 scheduled, missed 1, rotate, reschedule; every 24h, next +48h, guard auto +47h59m59.999999999s, served +24h"})
	run(t, rules, daily(t), step{autoSlot(2*day, 0), "R5 scheduled, missed 2, rotate, reschedule; every 24h, next +72h, guard auto +48h, served +48h"})
	// The event's slot, the schedule's not being due.
	run(t, rules, after(t, rules, setInterval(-day, day), forced(ns)),
		step{autoSlot(time.Second, 0), "R14 guard, scenario 2, rotate; every 24h, next +24h0m0.000000001s, guard auto +1s, served +0s"})
	// Itself: the clock stepped back by days, and a slot then served is older.
	run(t, rules, after(t, rules, setInterval(-day, day), autoSlot(0, 0), setFirst(-9*day, day, -8*day)),
		step{autoSlot(-8*day, -8*day), "R5 scheduled, rotate, reschedule; every 24h, next -168h, guard auto -192h, served +0s"})
	// Not by a forced call, nor by an auto that is not due and names no slot.
	run(t, rules, daily(t), step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"})
	run(t, rules, daily(t), step{auto(-ns), "R7 scheduled, rotate, reschedule; every 24h, next +23h59m59.999999999s, guard auto -1ns"})
}

// "A clock that steps back by less than G counts as held; by more, the rules
// apply to the new time (so a clock that was once far in the future heals at
// the next event)."
func TestR20_ClockStepsBack(t *testing.T) {
	s := after(t, rules, setInterval(-day, day), forced(0))
	for _, row := range []step{
		{auto(-G + ns), "R6 guard, scenario 2, rotate; every 24h, next +24h, guard auto -1m59.999999999s"},
		{auto(-G), "R7 scheduled, rotate, reschedule; every 24h, next +23h58m, guard auto -2m"},
		{auto(-G - ns), "R7 scheduled, rotate, reschedule; every 24h, next +23h57m59.999999999s, guard auto -2m0.000000001s"},
	} {
		run(t, rules, s, row)
	}
	// A clock that was a year ahead: the next event at the right time heals.
	ahead := after(t, rules, setInterval(365*day, day))
	run(t, rules, ahead, step{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"})
	run(t, rules, ahead, step{auto(0), "R7 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +0s"})
	run(t, rules, ahead, step{setInterval(0, time.Hour), "R8 interval_set, reschedule; every 1h, next +1h, guard set_interval +0s"})
	// Two things outlast it. The interval in force, set again, is R9 still, so
	// next stays a year ahead until any other event.
	run(t, rules, ahead, step{setInterval(0, day), "R9 unchanged; every 24h, next +8784h, guard set_interval +8760h"})
	// And a slot served back then makes a timer in flight a duplicate (R12), which
	// would have been R14.
	run(t, rules, after(t, rules, setInterval(364*day, day), autoSlot(365*day, 365*day), forced(-day)),
		step{forced(ns), "R3 scheduled, rotate, reschedule; every 24h, next +24h0m0.000000001s, guard forced +1ns, served +8760h"},
		step{autoSlot(time.Second, 0), "R12 duplicate; every 24h, next +24h0m0.000000001s, guard forced +1ns, served +8760h"},
	)
}

// "scenario is 1, 2 or 3 when the reason is guard and the kinds at the guard's
// start and now are auto→forced, forced→auto, forced→forced; otherwise 0."
func TestR21_ScenarioNamesPairOfKinds(t *testing.T) {
	byAuto := after(t, rules, setInterval(-day, day), auto(0))
	byForced := after(t, rules, setInterval(-day, day), forced(0))
	byInterval := after(t, rules, setFirst(0, day, ns))
	for _, test := range []struct {
		name string
		s    rotation.State
		e    rotation.Event
		want int
	}{
		{"auto, forced", byAuto, forced(ns), 1},
		{"forced, auto", byForced, auto(ns), 2},
		{"forced, auto in flight", byForced, autoSlot(ns, ns), 2},
		{"forced, forced", byForced, forced(ns), 3},
		{"auto, auto", byAuto, auto(ns), 0},
		{"interval, forced", byInterval, forced(ns), 0},
		{"interval, auto", byInterval, auto(ns), 0},
		{"auto, forced, not held", byAuto, forced(G), 0},
		{"forced, auto, not held", byForced, auto(G), 0},
		{"forced, forced, not held", byForced, forced(G), 0},
		{"forced, interval", byForced, setInterval(ns, time.Hour), 0},
		{"forced, off, forced", after(t, rules, setInterval(-day, day), forced(0), disable(0)), forced(ns), 0},
		{"forced, duplicate", after(t, rules, setInterval(-day, day), autoSlot(0, 0), forced(ns)), autoSlot(2, 0), 0},
	} {
		if _, d, err := rules.Decide(test.s, test.e); err != nil || d.Scenario != test.want {
			t.Errorf("%s: %v, %v; want scenario %d", test.name, d, err, test.want)
		}
	}
}

// "Errors, with the state unchanged: an unknown event kind; an instant outside
// the years 1970 to 2200 (the zero instant too); … an interval not longer than
// the guard or over 10 years; first outside (t, t + I′]; a negative guard."
// Service codes are package servicecode's.
func TestR22_RefusesAndKeepsState(t *testing.T) {
	epoch, last := time.Unix(0, 0), endOfYears.Add(-ns)
	east := time.FixedZone("east", 14*3600)
	for _, test := range []struct {
		name  string
		event rotation.Event
		field string // "" where the event is accepted
		err   error
	}{
		{"no kind", rotation.Event{}, "event", rotation.ErrKind},

		{"zero instant", rotation.Forced(time.Time{}), "at", rotation.ErrInstant},
		{"1969", rotation.Forced(epoch.Add(-ns)), "at", rotation.ErrInstant},
		{"1970", rotation.Forced(epoch), "", nil},
		{"1970 in the east is 1969", rotation.Forced(time.Date(1970, 1, 1, 0, 0, 0, 0, east)), "at", rotation.ErrInstant},
		{"2200", rotation.Forced(last), "", nil},
		{"2201", rotation.Forced(endOfYears), "at", rotation.ErrInstant},
		{"2201 in the east is 2200", rotation.Forced(time.Date(2201, 1, 1, 0, 0, 0, 0, east)), "", nil},
		{"the end of time", rotation.Forced(time.Unix(1<<63-62135596801, 999999999)), "at", rotation.ErrInstant},
		{"584 years on, where int64 nanoseconds wrap", rotation.Forced(epoch.Add(1<<63 - 1).Add(1<<63 - 1).Add(G)), "at", rotation.ErrInstant},
		{"zero instant, auto", rotation.AutoUnslotted(time.Time{}), "at", rotation.ErrInstant},
		{"zero instant, disable", rotation.Disable(time.Time{}), "at", rotation.ErrInstant},
		{"zero instant, interval", rotation.SetInterval(time.Time{}, day), "at", rotation.ErrInstant},
		{"zero slot", rotation.AutoSlot(at(0), time.Time{}), "slot", rotation.ErrInstant},
		{"slot in 1969", rotation.AutoSlot(at(0), epoch.Add(-ns)), "slot", rotation.ErrInstant},
		{"slot in 1970", rotation.AutoSlot(at(0), epoch), "", nil},
		{"slot in 2200", rotation.AutoSlot(at(0), last), "", nil},
		{"slot in 2201", rotation.AutoSlot(at(0), endOfYears), "slot", rotation.ErrInstant},
		{"first in 2200", rotation.SetIntervalFirst(last.Add(-ns), day, last), "", nil},
		{"first in 2201", rotation.SetIntervalFirst(last, day, endOfYears), "first", rotation.ErrInstant},
		{"zero first", rotation.SetIntervalFirst(at(0), day, time.Time{}), "first", rotation.ErrInstant},

		{"no interval", rotation.SetInterval(at(0), 0), "interval", rotation.ErrInterval},
		{"negative interval", rotation.SetInterval(at(0), -day), "interval", rotation.ErrInterval},
		{"the guard itself", rotation.SetInterval(at(0), G), "interval", rotation.ErrInterval},
		{"just over the guard", rotation.SetInterval(at(0), G+ns), "", nil},
		{"ten years", rotation.SetInterval(at(0), 3650*day), "", nil},
		{"over ten years", rotation.SetInterval(at(0), 3650*day+ns), "interval", rotation.ErrInterval},
		{"the longest duration", rotation.SetInterval(at(0), 1<<63-1), "interval", rotation.ErrInterval},
		{"the shortest duration", rotation.SetInterval(at(0), -1<<63), "interval", rotation.ErrInterval},
		{"the guard itself, with first", rotation.SetIntervalFirst(at(0), G, at(ns)), "interval", rotation.ErrInterval},
		{"over ten years, with first", rotation.SetIntervalFirst(at(0), 3650*day+ns, at(ns)), "interval", rotation.ErrInterval},

		{"ten years, first at t", setFirst(0, 3650*day, 0), "first", rotation.ErrFirst},
		{"just over the guard, first at t", setFirst(0, G+ns, 0), "first", rotation.ErrFirst},
		{"first at t", setFirst(0, day, 0), "first", rotation.ErrFirst},
		{"first just before t", setFirst(0, day, -ns), "first", rotation.ErrFirst},
		{"first just after t", setFirst(0, day, ns), "", nil},
		{"first at t + I", setFirst(0, day, day), "", nil},
		{"first just after t + I", setFirst(0, day, day+ns), "first", rotation.ErrFirst},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, s := range []rotation.State{{}, daily(t), after(t, rules, setInterval(-day, day), forced(0))} {
				after, d, err := rules.Decide(s, test.event)
				if test.field == "" {
					must.Do(t, err)
					continue
				}
				var refused *rotation.EventError
				if !errors.Is(err, test.err) || !errors.As(err, &refused) || refused.Field != test.field || refused.Kind != test.event.Kind() {
					t.Errorf("got %v, want field %s, %v", err, test.field, test.err)
				}
				if after != s || d != (rotation.Decision{}) {
					t.Errorf("the error came with %v, %v", after, d)
				}
			}
		})
	}

	for guard, want := range map[time.Duration]error{-ns: rotation.ErrGuard, -1 << 63: rotation.ErrGuard, 0: nil, 1<<63 - 1: nil} {
		rules, err := rotation.NewRules(guard, rotation.GuardFromScheduling)
		if !errors.Is(err, want) {
			t.Errorf("guard %v: %v, want %v", guard, err, want)
		}
		if err == nil && (rules.Guard() != guard || rules.GuardFrom() != rotation.GuardFromScheduling) {
			t.Errorf("guard %v came back as %v from %v", guard, rules.Guard(), rules.GuardFrom())
		}
		if err != nil && rules != (rotation.Rules{}) {
			t.Errorf("an error came with %+v", rules)
		}
	}
	if _, err := rotation.NewRules(G, 2); !errors.Is(err, rotation.ErrGuardFrom) {
		t.Errorf("guard from 2: %v", err)
	}
	if rules.Guard() != G || rules.GuardFrom() != rotation.GuardFromRequest || rules != newRules(t, G, rotation.GuardFromRequest) {
		t.Error("the zero Rules are not 2 minutes from the request")
	}
}

// The errors are for people: each names the event and the field, and says what
// would do.
func TestEventError_NamesEventFieldAndRange(t *testing.T) {
	for _, test := range []struct {
		event rotation.Event
		want  string
	}{
		{rotation.Event{}, "rotation: Kind(0): event: unknown event kind: one of forced, auto, set_interval, disable is needed"},
		{rotation.Forced(time.Time{}), "rotation: forced: at: outside the years 1970 to 2200"},
		{rotation.AutoSlot(at(0), time.Time{}), "rotation: auto: slot: outside the years 1970 to 2200"},
		{setInterval(0, 90*time.Second), "rotation: set_interval: interval: out of range: 1m30s is not longer than the guard of 2m"},
		{setInterval(0, 3651*day), "rotation: set_interval: interval: out of range: 87624h is longer than ten years (87600h)"},
		{setFirst(0, day, 0), "rotation: set_interval: first: outside the first interval: 2026-11-22T15:00:00Z is not after 2026-11-22T15:00:00Z and at most 24h later"},
	} {
		if _, _, err := rules.Decide(rotation.State{}, test.event); err == nil || err.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
}
