package check

import (
	"cvvrotation/rotation"
)

// memory is what the invariants that span events need from earlier events.
type memory struct {
	now        int64 // of the last event, while seen
	seen       bool
	within     bool  // next has been within an interval, and the clock has not stepped back since
	lastAuto   int64 // the last automatic rotation that started the guard since the clock last stepped back, or 0
	lastForced int64 // the last forced one
	phase      int64 // a slot of the last scheduling that set a phase, or 0
	passed     slotRange
	rotated    [16]int64 // slots that rotated, the latest ones; a slot that is next again is removed
	oldest     int       // the place in rotated to be overwritten next
}

// slotRange is the slots from, from+every, … up to to.
type slotRange struct{ from, to, every int64 }

func (r slotRange) has(slot int64) bool {
	return r.every != 0 && r.from <= slot && slot <= r.to && (slot-r.from)%r.every == 0
}

// event returns the invariants that the event breaks, except those of [transition].
func (m *memory) event(o *occurrence, out Outcome, after View) (b broken) {
	e := &o.e
	if out.Refused != 0 {
		return 0
	}
	if m.seen && e.At < m.now {
		m.within, m.lastAuto, m.lastForced = false, 0, 0
	}
	m.now, m.seen = e.At, true
	lately := func(at int64) bool { return at != 0 && e.At-at < o.guard }
	switch e.Kind {
	case rotation.KindForced:
		scheduled := !out.Rotated || out.Rescheduled
		b.unless(!lately(m.lastAuto) || !scheduled, s1)
		b.unless(!lately(m.lastForced) || !scheduled, s3)
	case rotation.KindAuto:
		if o.on && !o.early && !o.dup {
			b.unless(!lately(m.lastForced) || out.Rotated && !out.Rescheduled, s2)
		}
		m.slots(&b, o, out)
	}

	if out.Rotated && (out.Rescheduled || !o.fromScheduling) {
		switch e.Kind {
		case rotation.KindForced:
			m.lastForced = e.At
		case rotation.KindAuto:
			m.lastAuto = e.At
		}
	}
	m.schedule(&b, o, out, after)
	return b
}

// slots checks the slot of an automatic event.
func (m *memory) slots(b *broken, o *occurrence, out Outcome) {
	slot := o.e.Armed
	if o.e.HasSlot {
		slot = o.e.Slot
	}
	if !out.Rotated {
		return
	}
	b.unless(slot == 0 || !m.passed.has(slot), oneCatchUp)
	if slot != 0 {
		for _, r := range m.rotated {
			b.unless(r != slot, neverTwice)
		}
		m.rotated[m.oldest] = slot
		m.oldest = (m.oldest + 1) % len(m.rotated)
	}
	if o.due {
		m.passed = slotRange{o.before.Next, o.e.At, o.before.Interval}
	}
}

// schedule checks the next slot after the event.
func (m *memory) schedule(b *broken, o *occurrence, out Outcome, after View) {
	e := &o.e
	if after.Interval == 0 {
		m.phase, m.within = 0, true
		return
	}
	restarted := out.Rescheduled && (e.Kind != rotation.KindAuto || !o.due)
	if restarted {
		m.passed = slotRange{}
		m.phase = e.At + after.Interval
		if e.HasFirst {
			m.phase = e.First
		}
	}
	b.unless(m.phase == 0 || (after.Next-m.phase)%after.Interval == 0, noDrift)
	if out.Rescheduled {
		m.within = true
	}
	b.unless(!m.within || after.Next <= e.At+after.Interval, nextWithin)
	if after.Next != o.before.Next {
		for i, r := range m.rotated {
			if r == after.Next {
				m.rotated[i] = 0
			}
		}
	}
}
