package check

import (
	"bytes"
	"errors"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
)

// judge holds one card against every invariant, event by event. It remembers
// what the invariants speak of by itself, so that no system is asked whether it
// is right.
type judge struct {
	guard  int64
	card   Card
	ref    model.Card
	stored []byte // as the last event left it
	spare  []byte
	fresh  []byte    // the stored form of a new card
	met    situation // what the last event met
	view   View      // the state after it
	left   View      // what the event before had left
	memory memory
}

func newJudge(s System) *judge {
	j := &judge{guard: s.Guard(), card: s.NewCard()}
	j.fresh = j.card.AppendStored(nil)
	j.reset()
	return j
}

// reset makes the card one that nothing has happened to.
func (j *judge) reset() {
	j.stored = append(j.stored[:0], j.fresh...)
	// The guard of a system is never negative, and nothing else is an error.
	j.ref, _ = model.New(model.Rules{Guard: time.Duration(j.guard)})
	j.view, j.memory = View{}, memory{}
}

// step delivers an event to the card as it is stored, and returns the answer
// and what is broken by now. The stored form that it leaves is j.stored.
func (j *judge) step(stored []byte, e Event) (out Outcome, b broken) {
	if !bytes.Equal(stored, j.stored) {
		b.unless(false, durable)
	}
	if err := j.card.Restore(stored); err != nil {
		b.unless(false, persisted)
		return out, b
	}
	before := j.card.View()
	j.left = j.view
	if b == 0 {
		b.unless(before == j.view, persisted)
	}
	out = j.card.Apply(e)
	after := j.card.View()
	j.view = after
	j.spare = j.card.AppendStored(j.spare[:0])
	j.stored, j.spare = j.spare, j.stored

	j.met.set(j.guard, &before, &e)
	b |= transition(&j.met, out, after)
	b |= j.memory.event(&j.met, out, after)
	refOut, err := j.ref.Step(modelEvent(e))
	state := j.ref.State()
	b.unless(agrees(&refOut, err, &state, &out, &after), reference)
	return out, b
}

// memory is what the invariants that span events remember.
type memory struct {
	now        int64 // of the last event, while seen
	seen       bool
	within     bool  // next has been within an interval, and the clock has not stepped back since
	lastAuto   int64 // the last automatic rotation since the clock last stepped back, or 0
	lastForced int64 // the last forced one
	phase      int64 // a slot of the last scheduling that set a phase, or 0
	passed     slotRange
	rotated    [16]int64 // slots that rotated, the latest ones; a slot that is next again is taken out
	oldest     int       // the place in rotated to be overwritten next
}

// slotRange is the slots from, from+every, … up to to.
type slotRange struct{ from, to, every int64 }

func (r slotRange) has(slot int64) bool {
	return r.every != 0 && r.from <= slot && slot <= r.to && (slot-r.from)%r.every == 0
}

// event returns what the event breaks beside what [transition] finds.
func (m *memory) event(s *situation, out Outcome, after View) (b broken) {
	e := &s.e
	if out.Refused != 0 {
		return 0
	}
	if m.seen && e.At < m.now {
		m.within, m.lastAuto, m.lastForced = false, 0, 0
	}
	m.now, m.seen = e.At, true
	lately := func(at int64) bool { return at != 0 && e.At-at < s.guard }
	switch e.Kind {
	case rotation.KindForced:
		scheduled := !out.Rotated || out.Rescheduled
		b.unless(!lately(m.lastAuto) || !scheduled, s1)
		b.unless(!lately(m.lastForced) || !scheduled, s3)
	case rotation.KindAuto:
		if s.on && !s.early && !s.dup {
			b.unless(!lately(m.lastForced) || out.Rotated && !out.Rescheduled, s2)
		}
		m.slots(&b, s, out)
	}

	if out.Rotated && e.Kind == rotation.KindForced {
		m.lastForced = e.At
	}
	if out.Rotated && e.Kind == rotation.KindAuto {
		m.lastAuto = e.At
	}
	m.schedule(&b, s, out, after)
	return b
}

// slots is for the slot of an automatic event.
func (m *memory) slots(b *broken, s *situation, out Outcome) {
	slot := s.e.Armed
	if s.e.HasSlot {
		slot = s.e.Slot
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
	if s.due {
		m.passed = slotRange{s.before.Next, s.e.At, s.before.Interval}
	}
}

// schedule is for where the event leaves next.
func (m *memory) schedule(b *broken, s *situation, out Outcome, after View) {
	e := &s.e
	if after.Interval == 0 {
		m.phase, m.within = 0, true
		return
	}
	anew := out.Rescheduled && (e.Kind != rotation.KindAuto || !s.due)
	if anew {
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
	if after.Next != s.before.Next {
		for i, r := range m.rotated {
			if r == after.Next {
				m.rotated[i] = 0
			}
		}
	}
}

// modelEvent is the event in the reference model's words.
func modelEvent(e Event) model.Event {
	m := model.Event{At: time.Unix(0, e.At), Interval: time.Duration(e.Interval)}
	switch e.Kind {
	case rotation.KindForced:
		m.Kind = model.Forced
	case rotation.KindAuto:
		m.Kind = model.Auto
	case rotation.KindSetInterval:
		m.Kind = model.SetInterval
	case rotation.KindDisable:
		m.Kind = model.Disable
	}
	if e.HasSlot {
		m.Slot = model.At(time.Unix(0, e.Slot))
	}
	if e.HasFirst {
		m.First = model.At(time.Unix(0, e.First))
	}
	return m
}

var (
	modelRules = [...]string{
		rotation.R1: "R1", rotation.R2: "R2", rotation.R3: "R3", rotation.R4: "R4", rotation.R5: "R5",
		rotation.R6: "R6", rotation.R7: "R7", rotation.R8: "R8", rotation.R9: "R9", rotation.R10: "R10",
		rotation.R11: "R11", rotation.R12: "R12", rotation.R13: "R13", rotation.R14: "R14",
	}
	modelReasons = [...]string{
		rotation.ReasonScheduled: model.Scheduled, rotation.ReasonGuard: model.Guard,
		rotation.ReasonRotationOff: model.RotationOff, rotation.ReasonIntervalSet: model.IntervalSet,
		rotation.ReasonUnchanged: model.Unchanged, rotation.ReasonNotDue: model.NotDue,
		rotation.ReasonDuplicate: model.Duplicate, rotation.ReasonSuperseded: model.Superseded,
	}
	modelKinds = [...]string{
		rotation.KindForced: model.Forced, rotation.KindAuto: model.Auto,
		rotation.KindSetInterval: model.SetInterval, rotation.KindDisable: model.Disable,
	}
	modelRefusals = [...]string{
		RefusedKind: model.BadKind, RefusedInstant: model.BadInstant,
		RefusedInterval: model.BadInterval, RefusedFirst: model.BadFirst,
	}
)

// agrees reports whether an answer and the state after it are the model's.
func agrees(want *model.Outcome, err error, state *model.State, out *Outcome, after *View) bool {
	if err != nil {
		var bad *model.Error
		return errors.As(err, &bad) && out.Refused != 0 && bad.Category == modelRefusals[out.Refused]
	}
	return out.Refused == 0 && int(out.Rule) < len(modelRules) &&
		want.Rule == modelRules[out.Rule] && want.Reason == modelReasons[out.Reason] &&
		want.Rotate == out.Rotated && want.Reschedule == out.Rescheduled &&
		want.Scenario == out.Scenario && want.Missed == out.Missed &&
		int64(state.Interval) == after.Interval && nanos(&state.Next) == after.Next &&
		nanos(&state.GuardStart) == after.GuardStart && state.GuardKind == modelKinds[after.GuardKind] &&
		nanos(&state.Served) == after.Served && state.Served.OK == after.HasServed
}

// nanos is the instant, 0 when there is none.
func nanos(i *model.Instant) int64 {
	if !i.OK {
		return 0
	}
	return i.Time.UnixNano()
}

// viewOf is the model's state as a View.
func viewOf(s model.State) View {
	v := View{
		Interval: int64(s.Interval), Next: nanos(&s.Next),
		GuardStart: nanos(&s.GuardStart), Served: nanos(&s.Served), HasServed: s.Served.OK,
	}
	for kind, name := range modelKinds {
		if name == s.GuardKind {
			v.GuardKind = rotation.Kind(kind)
		}
	}
	return v
}
