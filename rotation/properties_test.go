package rotation_test

import (
	"slices"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"

	"pgregory.net/rapid"
)

// always checks a property of every move of any timeline of a shape.
func always(t *testing.T, shape timelines, holds func(rotation.Rules, move) bool) {
	t.Helper()
	generator := shape.generator(t)
	rapid.Check(t, func(t *rapid.T) {
		timeline := generator.Draw(t, "timeline")
		for _, m := range timeline.moves {
			if !holds(timeline.rules, m) {
				t.Fatalf("guard %v from %v: %s", timeline.rules.Guard(), timeline.rules.GuardFrom(), tell(m))
			}
		}
	})
}

// R15: a forced event always rotates, as long as its instant is one.
func TestDecide_ForcedAlwaysRotates(t *testing.T) {
	always(t, anything, func(_ rotation.Rules, m move) bool {
		return m.Kind != model.Forced || m.err != nil || m.decision.Rotate()
	})
}

// R17: an automatic rotation that is due leaves the phase alone, and what it
// misses is what a loop over the slots counts.
func TestDecide_DueAutoKeepsPhaseAndCountsMissed(t *testing.T) {
	always(t, anything, func(_ rotation.Rules, m move) bool {
		next, on := m.before.Next()
		if m.Kind != model.Auto || !on || next.After(m.At) || !m.decision.Rotate() {
			return m.decision.Missed == 0
		}
		if m.At.Sub(next)/m.before.Interval() > 100_000 {
			return true // not in a loop
		}
		missed := int64(-1) // one of them is this rotation
		for ; !next.After(m.At); next = next.Add(m.before.Interval()) {
			missed++
		}
		after, _ := m.after.Next()
		return after.Equal(next) && m.decision.Missed == missed
	})
}

// R18, first half: after R5 and R6, next > t, whatever the clock did.
func TestDecide_LeavesNextAhead(t *testing.T) {
	always(t, anything, func(_ rotation.Rules, m move) bool {
		next, _ := m.after.Next()
		switch m.decision.Rule {
		case rotation.R3, rotation.R5, rotation.R6, rotation.R7, rotation.R8, rotation.R14:
			return next.After(m.At)
		}
		return true
	})
}

// R18, second half: while instants do not step back, next ≤ t + I.
func TestDecide_LeavesNextWithinOneInterval(t *testing.T) {
	always(t, forwards, func(_ rotation.Rules, m move) bool {
		next, on := m.after.Next()
		return !on || !next.After(m.At.Add(m.after.Interval()))
	})
}

// R19: the newest slot served never goes back, and after a rotation that was
// due it is the slot before the next one, or newer.
func TestDecide_ServedNeverGoesBack(t *testing.T) {
	always(t, anything, func(_ rotation.Rules, m move) bool {
		before, had := m.before.Served()
		after, has := m.after.Served()
		if had && (!has || after.Before(before)) {
			return false
		}
		if !m.decision.Rotate() || m.Kind != model.Auto {
			return after.Equal(before)
		}
		next, _ := m.after.Next()
		due, _ := m.before.Next()
		return (!m.Slot.OK || !after.Before(m.Slot.Time)) &&
			(due.After(m.At) || !after.Before(next.Add(-m.after.Interval())))
	})
}

// A slot that was served does not rotate again, unless a schedule set anew
// names it.
func TestDecide_ServesNoSlotTwice(t *testing.T) {
	always(t, anything, func(rules rotation.Rules, m move) bool {
		if m.Kind != model.Auto || !m.Slot.OK || !m.decision.Rotate() {
			return true
		}
		_, again, err := rules.Decide(m.after, real(m.Event))
		return err == nil && !again.Rotate() && again.Rule == rotation.R12
	})
}

// R20: whatever the clock was, an event that is not held leaves a schedule that
// is right for its instant: ahead of it, by no more than an interval.
func TestDecide_RecoversFromAnyClock(t *testing.T) {
	always(t, anything, func(_ rotation.Rules, m move) bool {
		switch m.decision.Rule {
		case rotation.R3, rotation.R5, rotation.R7, rotation.R8:
			next, _ := m.after.Next()
			since, _, _ := m.after.Guard()
			return next.After(m.At) && !next.After(m.At.Add(m.after.Interval())) && since.Equal(m.At)
		}
		return true
	})
}

// Nothing happens means nothing: these rules leave the state as it was.
func TestDecide_LeavesStateWhereRuleSaysNothingHappens(t *testing.T) {
	always(t, anything, func(_ rotation.Rules, m move) bool {
		switch m.decision.Rule {
		case 0, rotation.R4, rotation.R9, rotation.R11, rotation.R12, rotation.R13:
			return m.after == m.before && !m.decision.Rotate()
		}
		return true
	})
}

// Decide is a function: the same arguments give the same results, also where
// the instants are those of another place or have a monotonic reading.
func TestDecide_IsPure(t *testing.T) {
	place := time.FixedZone("place", -11*3600)
	always(t, anything, func(rules rotation.Rules, m move) bool {
		e := m.Event
		if e.At.Year() > 1 && e.At.Year() < 9999 {
			e.At = e.At.In(place)
		}
		after, d, err := rules.Decide(m.before, real(e))
		return after == m.after && d == m.decision && (err == nil) == (m.err == nil)
	})
	now := time.Now()
	if rotation.Forced(now) != rotation.Forced(now.Round(0)) {
		t.Error("a monotonic reading makes a difference")
	}
}

// An event gives back what it was made of.
func TestEvent_ReturnsWhatItWasMadeOf(t *testing.T) {
	always(t, anyClock, func(_ rotation.Rules, m move) bool {
		e := real(m.Event)
		got := model.Event{Kind: e.Kind().String(), At: e.At(), Interval: e.Interval()}
		got.Slot.Time, got.Slot.OK = e.Slot()
		got.First.Time, got.First.OK = e.First()
		return got == m.Event
	})
	if e := rotation.AutoSlot(endOfYears, at(0)); !e.At().IsZero() {
		t.Errorf("an instant that is none came back as %v", e.At())
	}
}

// PreviewForced says what Decide would do.
func TestPreviewForced_AgreesWithDecide(t *testing.T) {
	always(t, anything, func(rules rotation.Rules, m move) bool {
		_, want, wantErr := rules.Decide(m.before, rotation.Forced(m.At))
		got, err := rules.PreviewForced(m.before, m.At)
		return got == want && (err == nil) == (wantErr == nil)
	})
}

// Slots are what serving each slot on time leads to.
func TestSlots_AreWhatServingOnTimeLeadsTo(t *testing.T) {
	always(t, anything, func(rules rotation.Rules, m move) bool {
		var want []time.Time
		for s := m.after; len(want) < 5; {
			slot, ok := s.Next()
			if !ok || !slot.Before(endOfYears) {
				break
			}
			want = append(want, slot)
			var d rotation.Decision
			var err error
			if s, d, err = rules.Decide(s, rotation.AutoSlot(slot, slot)); err != nil || !d.Rotate() {
				return false
			}
		}
		return slices.Equal(slices.Collect(m.after.Slots(5)), want)
	})
	for _, n := range []int{0, -1} {
		if got := slices.Collect(daily(t).Slots(n)); got != nil {
			t.Errorf("Slots(%d) = %v", n, got)
		}
	}
	for range daily(t).Slots(5) { // leaving early is fine
		break
	}
}

// The last slot of all is one that can still be served.
func TestSlots_EndInYear2200(t *testing.T) {
	last := endOfYears.Add(-ns)
	s := after(t, rules, rotation.SetIntervalFirst(last.Add(-day-ns), day, last.Add(-day)))
	want := []time.Time{last.Add(-day), last}
	if got := slices.Collect(s.Slots(5)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Decide allocates nothing.
func TestDecide_DoesNotAllocate(t *testing.T) {
	events := []rotation.Event{
		forced(0), setInterval(0, day), forced(ns), forced(G + ns), autoSlot(G+ns, 0), auto(G + ns), setFirst(2*G, day, 3*G),
		setInterval(2*G, day), autoSlot(3*G, 3*G), autoSlot(3*G, 3*G), autoSlot(5*G, 4*G), autoSlot(5*G, 6*G), auto(5 * day), disable(5 * day), auto(5 * day),
	}
	var s rotation.State
	allocations := testing.AllocsPerRun(100, func() {
		for _, e := range events {
			var err error
			if s, _, err = rules.Decide(s, e); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations in %d events", allocations, len(events))
	}
}
