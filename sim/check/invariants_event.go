package check

import (
	"cvvrotation/rotation"
)

// transition returns the invariants that a single event breaks. It depends on the
// state before, the answer and the state after alone: the closure relies on that.
func transition(o *occurrence, out Outcome, after View) (b broken) {
	before, e := &o.before, &o.e
	b.unless(out.Next == after.Next, answer)
	if want := refusal(o.guard, e); want != 0 || out.Refused != 0 || out.Err != "" {
		b.unless(out.Refused == want && out.Err == "" && after == *before && !out.Rotated && !out.Rescheduled, refused)
		return b
	}
	switch e.Kind {
	case rotation.KindForced:
		o.forced(&b, out, after)
	case rotation.KindAuto:
		o.auto(&b, out, after)
	case rotation.KindSetInterval:
		o.interval(&b, out, after)
	case rotation.KindDisable:
		b.unless(!out.Rotated && !out.Rescheduled && after.Interval == 0 && after.Next == 0, offIsOff)
		b.unless(after.HasServed == before.HasServed && after.Served == before.Served, served)
	}
	if *before == (View{}) {
		b.unless(e.Kind == rotation.KindSetInterval ||
			after.Interval == 0 && after.Next == 0 && !out.Rescheduled && out.Rotated == (e.Kind == rotation.KindForced), zeroHarmless)
	}
	starts := out.Rotated || e.Kind == rotation.KindSetInterval && !o.same
	if o.fromScheduling {
		starts = out.Rescheduled
	}
	if starts {
		b.unless(after.GuardStart == e.At && after.GuardKind == e.Kind, guardStart)
	} else {
		b.unless(after.GuardStart == before.GuardStart && after.GuardKind == before.GuardKind, guardStart)
	}
	b.unless(out.Scenario == o.scenario(out.Rotated), scenario)
	return b
}

// occurrence is an event together with the state that it meets, in the terms of
// docs/rules.md.
type occurrence struct {
	terms
	before View
	e      Event
	on     bool // automatic rotation is on
	gap    int64
	held   bool
	due    bool // next ≤ t
	other  bool // the event names a slot that is not next
	early  bool // it names a slot after t
	dup    bool // it names a slot, not next, that was served
	same   bool // it sets the interval in force
}

// set sets o to the event e on a card in the state before.
func (o *occurrence) set(t terms, before *View, e *Event) {
	*o = occurrence{terms: t, before: *before, e: *e, on: before.Interval != 0}
	if before.GuardKind != 0 {
		o.gap = e.At - before.GuardStart
		o.held = -t.guard < o.gap && o.gap < t.guard
	}
	o.due = o.on && before.Next <= e.At
	if e.HasSlot {
		o.early = e.At < e.Slot
		o.other = e.Slot != before.Next
		o.dup = o.other && before.HasServed && e.Slot <= before.Served
	}
	o.same = e.Kind == rotation.KindSetInterval && e.Interval == before.Interval && (!e.HasFirst || e.First == before.Next)
}

func (o *occurrence) forced(b *broken, out Outcome, after View) {
	at, before := o.e.At, &o.before
	b.unless(out.Rotated, forcedRotates)
	b.unless(after.Served == before.Served && after.HasServed == before.HasServed, served)
	b.unless(out.Missed == 0, missed)
	if !o.on {
		b.unless(!out.Rescheduled && after.Interval == 0 && after.Next == 0, offIsOff)
		return
	}
	if o.held {
		kept := !out.Rescheduled && after.Next == before.Next && after.Interval == before.Interval
		b.unless(kept, guardHolds)
		switch before.GuardKind {
		case rotation.KindAuto:
			b.unless(out.Rotated && kept, s1)
		case rotation.KindForced:
			b.unless(out.Rotated && kept, s3)
		}
		return
	}
	b.unless(out.Rescheduled, guardEnds)
	b.unless(after.Next == at+before.Interval && after.Interval == before.Interval, newSchedule)
	b.unless(after.Next > at, nextAhead)
	o.healed(b, after)
}

func (o *occurrence) auto(b *broken, out Outcome, after View) {
	at, before := o.e.At, &o.before
	if !out.Rotated {
		b.unless(after == *before && !out.Rescheduled && out.Missed == 0, idle)
	}
	if !o.on {
		b.unless(!out.Rotated && after.Interval == 0 && after.Next == 0, offIsOff)
		return
	}
	b.unless(!o.early || !out.Rotated, neverEarly)
	b.unless(!o.dup || !out.Rotated, neverTwice)
	if o.early || o.dup {
		return
	}
	if o.held && before.GuardKind == rotation.KindForced {
		b.unless(out.Rotated && !out.Rescheduled, s2)
	}
	switch {
	case o.other && !o.held:
		b.unless(!out.Rotated, superseded)
		return
	case o.other:
		b.unless(out.Rotated && !out.Rescheduled, inFlight)
	default:
		b.unless(out.Rotated, dueRotates)
	}
	if !out.Rotated {
		return
	}
	b.unless(after.Next > at, nextAhead)
	b.unless(after.Interval == before.Interval, phaseKept)

	newest, any := before.Served, before.HasServed
	serve := func(slot int64) {
		if !any || slot > newest {
			newest, any = slot, true
		}
	}
	if o.e.HasSlot {
		serve(o.e.Slot)
	}
	var skipped int64
	next := before.Next
	if o.due {
		skipped = (at - before.Next) / before.Interval
		serve(before.Next + skipped*before.Interval)
		next = before.Next + (skipped+1)*before.Interval
	}
	b.unless(after.Served == newest && after.HasServed == any, served)
	b.unless(out.Missed == skipped, missed)
	if o.held {
		b.unless(!out.Rescheduled, guardHolds)
		b.unless(after.Next == next, phaseKept)
		return
	}
	b.unless(out.Rescheduled, guardEnds)
	if o.due {
		b.unless(after.Next == next, phaseKept)
	} else {
		b.unless(after.Next == at+before.Interval, newSchedule)
	}
	o.healed(b, after)
}

// healed checks a rotation outside the guard after a clock stepped back.
func (o *occurrence) healed(b *broken, after View) {
	if o.gap < 0 {
		b.unless(after.Next > o.e.At && after.Next <= o.e.At+o.before.Interval, heals)
	}
}

func (o *occurrence) interval(b *broken, out Outcome, after View) {
	e := &o.e
	if o.same {
		b.unless(after == o.before && !out.Rotated && !out.Rescheduled, unchanged)
		return
	}
	want := o.before
	want.Interval, want.Next = e.Interval, e.At+e.Interval
	if e.HasFirst {
		want.Next = e.First
	}
	want.GuardStart, want.GuardKind = after.GuardStart, after.GuardKind // guard-start checks these
	b.unless(after == want && !out.Rotated && out.Rescheduled, setInterval)
	b.unless(after.Next > e.At, nextAhead)
}

// scenario is R21.
func (o *occurrence) scenario(rotated bool) int {
	if !rotated || !o.held || !o.on {
		return 0
	}
	return scenarioOf(o.before.GuardKind, o.e.Kind)
}

func scenarioOf(before, now rotation.Kind) int {
	switch {
	case before == rotation.KindAuto && now == rotation.KindForced:
		return 1
	case before == rotation.KindForced && now == rotation.KindAuto:
		return 2
	case before == rotation.KindForced && now == rotation.KindForced:
		return 3
	}
	return 0
}

// refusal is R22, the field at fault.
func refusal(guard int64, e *Event) Refusal {
	switch e.Kind {
	case rotation.KindForced, rotation.KindAuto, rotation.KindSetInterval, rotation.KindDisable:
	default:
		return RefusedKind
	}
	switch {
	case !validInstant(e.At), e.HasSlot && !validInstant(e.Slot):
		return RefusedInstant
	case e.Kind != rotation.KindSetInterval:
		return 0
	case e.Interval <= guard, e.Interval > int64(rotation.MaxInterval):
		return RefusedInterval
	case e.HasFirst && !validInstant(e.First):
		return RefusedInstant
	case e.HasFirst && (e.First <= e.At || e.First > e.At+e.Interval):
		return RefusedFirst
	}
	return 0
}
