package check

import (
	"slices"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/check/campaign"
)

// verdict is what an event broke, and how.
type verdict struct {
	broken
	outcome Outcome // the answer to the event
	left    View    // what the event before had left
	last    occurrence
	after   View
}

func (j *oracle) verdict(out Outcome, b broken) verdict {
	return verdict{b, out, j.left, j.last, j.view}
}

// openLoop delivers the events to a new card, up to the first that breaks an
// invariant, and gives polls among them their slots. It returns how many it delivered.
func openLoop(s System, events []Event) (v verdict, n int) {
	j := newOracle(s)
	for i := range events {
		v, n = j.verdict(j.step(j.stored, &events[i])), i+1
		if v.broken != 0 {
			break
		}
	}
	return v, n
}

// shrinker makes the events of one card fewer and simpler while the same
// invariant breaks first.
type shrinker struct {
	system  System
	name    Invariant
	events  []Event
	verdict verdict // of the last one
}

// shrink returns a small timeline whose last event breaks the invariant, false
// when the events do not break it without a host.
func shrink(s System, events []Event, name Invariant) ([]Event, verdict, bool) {
	k := &shrinker{system: s, name: name}
	if !k.accept(events) {
		return nil, verdict{}, false
	}
	for {
		before := slices.Clone(k.events)
		k.drop()
		k.plain()
		k.snap()
		if slices.Equal(before, k.events) {
			return k.events, k.verdict, true
		}
	}
}

func (k *shrinker) terms() terms { return termsOf(k.system.Rules()) }

// accept keeps the events if they break the invariant, up to the one that does.
func (k *shrinker) accept(events []Event) bool {
	if len(events) == 0 {
		return false
	}
	v, n := openLoop(k.system, events)
	if v.first() != k.name {
		return false
	}
	k.events, k.verdict = events[:n], v
	return true
}

// drop removes as many events as it can.
func (k *shrinker) drop() {
	campaign.Shorten(func() int { return len(k.events) }, func(from, to int) bool {
		fewer := slices.Delete(slices.Clone(k.events), from, to)
		if k.accept(fewer) {
			return true
		}
		// Later events move up and keep the distance from their neighbour.
		gaps := k.gaps()
		if gaps = slices.Delete(gaps, from, to); from == 0 && len(gaps) > 0 {
			gaps[0] = k.events[0].At
		}
		if k.accept(k.retimed(fewer, slices.Clone(fewer), gaps)) {
			return true
		}
		if from < 2 || from == len(gaps) {
			return false
		}
		// Or only as far as the guard still holds: a chain of fewer links.
		gaps[from-1], gaps[from] = k.terms().guard-1, k.terms().guard-1
		return k.accept(k.retimed(fewer, slices.Clone(fewer), gaps))
	})
}

// plain makes single events simpler.
func (k *shrinker) plain() {
	for i := range k.events {
		for _, change := range []func(*Event){
			func(e *Event) {
				if e.Kind == rotation.KindAuto {
					*e = Event{Kind: rotation.KindForced, At: e.At}
				}
			},
			func(e *Event) { e.HasFirst, e.First = false, 0 },
			func(e *Event) { e.HasSlot, e.Slot = false, 0 },
			func(e *Event) { e.Armed = 0 },
			func(e *Event) { e.Pollers = min(e.Pollers, 1) },
		} {
			events := slices.Clone(k.events)
			if change(&events[min(i, len(events)-1)]); !slices.Equal(events, k.events) {
				k.accept(events)
			}
		}
	}
	for _, e := range k.events {
		for _, interval := range []int64{day, int64(time.Hour), int64(5 * time.Minute)} {
			if e.Kind != rotation.KindSetInterval || e.Interval == interval {
				break // as plain as this
			}
			events := slices.Clone(k.events)
			for i := range events {
				if events[i].Interval == e.Interval {
					events[i].Interval = interval
				}
			}
			// What was an interval or more away stays so.
			gaps := k.gaps()
			for i := range gaps[1:] {
				if gaps[i+1] >= e.Interval {
					gaps[i+1] += interval - e.Interval
				}
			}
			if k.accept(k.retimed(k.events, slices.Clone(events), gaps)) || k.accept(k.retimed(k.events, slices.Clone(events), k.gaps())) || k.accept(events) {
				break
			}
		}
	}
}

// gaps returns the distance of each event from the previous one; that of the
// first is its instant.
func (k *shrinker) gaps() []int64 {
	gaps := make([]int64, len(k.events))
	before := int64(0)
	for i, e := range k.events {
		gaps[i], before = e.At-before, e.At
	}
	return gaps
}

// snap starts the timeline at 3 PM and gives each event the simplest distance from
// the previous one that still fails, edges of the rules first.
func (k *shrinker) snap() {
	start := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC).UnixNano()
	k.try(0, start)
	for i := 1; i < len(k.events); i++ {
		gap := k.gaps()[i]
		for _, plain := range k.plainGaps(i, gap) {
			if plain == gap || k.try(i, plain) {
				break
			}
		}
	}
}

// plainGaps returns the distances to try for event i, the simplest first.
func (k *shrinker) plainGaps(i int, gap int64) []int64 {
	guard := k.terms().guard
	gaps := []int64{guard / 2, 0, guard, guard - 1, int64(time.Second), 1}
	card := table{terms: k.terms()}.NewCard()
	for _, e := range k.events[:i] {
		card.Apply(e)
	}
	if v := card.View(); v.Interval != 0 {
		slot := v.Next - k.events[i-1].At
		gaps = append(gaps, slot, slot+guard/2, slot+v.Interval, slot-guard/2, slot-1, slot+1)
	}
	gaps = append(gaps, guard+1, -guard/2, -1, 1-guard, -guard, day, -day)
	for _, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		gaps = append(gaps, gap/int64(unit)*int64(unit))
	}
	return gaps
}

// try changes the distance of event i from the previous one and moves all later
// events along.
func (k *shrinker) try(i int, gap int64) bool {
	gaps := k.gaps()
	gaps[i] = gap
	return k.accept(k.retimed(k.events, slices.Clone(k.events), gaps))
}

// retimed returns the events with new gaps; len(gaps) == len(events) == len(was).
// Slots move along: a slot that was next after some event becomes the slot that is
// next after that event now. Other slots, and first slots, keep their distance from
// their own event.
func (k *shrinker) retimed(was, events []Event, gaps []int64) []Event {
	before, after := table{terms: k.terms()}.NewCard(), table{terms: k.terms()}.NewCard()
	slots := make(map[int64]int64) // what was next, and what is next instead
	now := int64(0)
	for i := range events {
		e := &events[i]
		old := was[i]
		now += gaps[i]
		e.At = now
		move := func(at *int64) {
			if moved, ok := slots[*at]; ok {
				*at = moved
			} else {
				*at += now - old.At
			}
		}
		if e.HasSlot {
			move(&e.Slot)
		}
		if e.HasFirst {
			e.First += now - old.At
		}
		if e.Armed != 0 {
			move(&e.Armed)
		}
		before.Apply(old)
		after.Apply(*e)
		if before.View().Next != 0 {
			slots[before.View().Next] = after.View().Next
		}
	}
	return events
}

// shrinkRun makes a run that breaks the invariant smaller: fewer faults, cards,
// nodes and events.
func shrinkRun(h *host, seed uint64, o options, name Invariant) options {
	try := func(smaller options) bool {
		if h.run(seed, smaller); h.failure == nil || h.failure.first() != name {
			return false
		}
		o = smaller
		return true
	}
	for again := true; again; {
		again = false
		for f := range o.weights {
			if smaller := o; o.weights[f] != 0 {
				smaller.weights[f] = 0
				again = try(smaller) || again
			}
		}
		for i := range o.cards {
			if smaller := o; !o.without[i] {
				smaller.without[i] = true
				again = try(smaller) || again
			}
		}
		for draw := uint64(1); draw <= 500 && o.events > 20; draw++ {
			smaller := o // a long run, under the same faults: perhaps another one is short
			smaller.again, smaller.events = draw, 12
			again = try(smaller) || again
		}
		for events := 1; events < o.events; events += 1 + events/4 {
			smaller := o
			if smaller.events = events; try(smaller) {
				again = true
				break
			}
		}
		for nodes := 1; nodes < o.nodes; nodes++ {
			smaller := o
			if smaller.nodes = nodes; try(smaller) {
				again = true
				break
			}
		}
	}
	return o
}
