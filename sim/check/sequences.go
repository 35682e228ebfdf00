package check

import (
	"context"
	"slices"
	"time"

	"cvvrotation/rotation"
)

// SequencesResult is the result of [Sequences].
type SequencesResult struct {
	Sequences int64 // of the full depth
	Events    int64
	Done      bool     // all were tried
	Failure   *Failure // the first that breaks an invariant, or nil
	Elapsed   time.Duration
}

// sequencesInterval is so short that two guards exceed it.
const sequencesInterval = int64(3 * time.Minute)

// Sequences tries every sequence of events on a new card of the system, up to a
// depth: each kind of event, at each edge that the card then has, to the
// nanosecond. It tries them in order, until one fails or ctx ends.
func Sequences(ctx context.Context, s System, depth int) SequencesResult {
	started := time.Now()
	w := &walker{ctx: ctx, system: s, polls: polls(s), oracles: make([]*oracle, depth+1), path: make([]Event, depth), edges: make([][]Event, depth)}
	for i := range w.oracles {
		w.oracles[i] = newOracle(s)
	}
	w.result.Done = w.walk(0)
	w.result.Elapsed = time.Since(started)
	return w.result
}

type walker struct {
	ctx     context.Context
	system  System
	polls   bool
	oracles []*oracle // by depth: the card after so many events of path
	path    []Event
	result  SequencesResult
	edges   [][]Event // by depth, for reuse
}

// walk tries all that can follow the first depth events of the path.
func (w *walker) walk(depth int) bool {
	if depth == len(w.path) {
		w.result.Sequences++
		return true
	}
	here, next := w.oracles[depth], w.oracles[depth+1]
	for _, e := range w.events(depth, here) {
		if depth < 2 && w.ctx.Err() != nil {
			return false
		}
		next.fork(here)
		w.path[depth] = e
		w.result.Events++
		if out, b := next.step(next.stored, &w.path[depth]); b != 0 {
			events, v := slices.Clone(w.path[:depth+1]), next.verdict(out, b)
			f := &Failure{Found: len(events), Once: true, system: w.system}
			if shrunk, again, ok := shrink(w.system, events, v.first()); ok {
				events, v, f.Once = shrunk, again, false
			}
			f.explain(events, v)
			w.result.Failure = f
			return false
		}
		if !w.walk(depth + 1) {
			return false
		}
	}
	return true
}

// fork copies the card and the memory of another oracle.
func (j *oracle) fork(from *oracle) {
	j.stored = append(j.stored[:0], from.stored...)
	j.ref, j.view, j.memory = from.ref, from.view, from.memory
}

// events returns what to try on the card: at the edges of its guard and of its
// schedule, with the slots at which the rules differ.
func (w *walker) events(depth int, j *oracle) []Event {
	events := w.edges[depth][:0]
	v, guard := j.view, j.terms.guard
	p := j.memory.now
	if v.GuardKind != 0 {
		p = v.GuardStart
	}
	if p == 0 {
		p = startOfRuns
	}
	instants := []int64{p, p + guard - 1, p + guard, p + 1 - guard, p - guard}
	if v.Interval != 0 {
		instants = append(instants, v.Next-1, v.Next, v.Next+v.Interval, v.Next+101*v.Interval)
	}
	for _, at := range instants {
		events = append(events, Event{Kind: rotation.KindForced, At: at})
		if w.polls {
			events = append(events, Event{Kind: rotation.KindAuto, At: at, Pollers: 1}, Event{Kind: rotation.KindAuto, At: at, Pollers: 2})
			continue
		}
		events = append(events, Event{Kind: rotation.KindAuto, At: at})
		if v.Interval != 0 {
			events = append(events,
				Event{Kind: rotation.KindAuto, At: at, HasSlot: true, Slot: v.Next},
				Event{Kind: rotation.KindAuto, At: at, HasSlot: true, Slot: v.Next - 1})
		}
		if v.HasServed {
			events = append(events,
				Event{Kind: rotation.KindAuto, At: at, HasSlot: true, Slot: v.Served},
				Event{Kind: rotation.KindAuto, At: at, HasSlot: true, Slot: v.Served + 1})
		}
	}
	set := func(at, interval, first int64) {
		events = append(events, Event{Kind: rotation.KindSetInterval, At: at, Interval: interval, HasFirst: first != 0, First: first})
	}
	set(p+guard, sequencesInterval, 0)
	set(p+1, sequencesInterval, p+2)
	set(p+1, sequencesInterval, p+1+sequencesInterval)
	set(p+1, sequencesInterval, p+2+sequencesInterval) // refused
	set(p, guard+1, 0)
	set(p, guard, 0) // refused
	if v.Interval != 0 {
		set(v.Next, v.Interval, 0) // no change, while a slot is due
	}
	set(p, sequencesInterval, p) // refused
	events = append(events,
		Event{Kind: rotation.KindDisable, At: p},
		Event{Kind: rotation.KindForced, At: -1}) // refused
	w.edges[depth] = events
	return events
}
