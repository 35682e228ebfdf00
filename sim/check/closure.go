package check

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/model"
)

// Closure visits every state of a card that events on a grid of time can lead
// to, until no event leads to another one. All invariants that speak of one
// event hold on each transition, so they hold for timelines of any length on
// the grid. Those that span events follow by induction: each rotation and new
// interval restarts the guard (guard-start), so the nearest request is the one
// that S1, S2 and S3 are about; every slot that rotates is at most the newest
// slot served from then on (served), so none rotates twice (never-twice); and
// the phase, kept by each event (phase-kept), is kept by all.
//
// Two things make the number of states finite. First, the rules compare instants
// only with each other, so states that differ by a shift in time are one state.
// Second, long distances are reduced. Three instants matter: the next slot, the
// guard's start and the newest slot served. If two neighbours among them are
// further apart than the guard and an interval, no event is near both. Only the
// distance modulo the interval then matters, because it holds the phase. Such a
// distance is reduced by whole intervals; missed, which counts intervals, is
// checked on each transition before the reduction.
//
// A reduced distance stands for all that are longer by whole intervals. So each
// state is tried as it is and with one interval more: an event that moves the
// guard's start nearer then meets the longer distance, too. If rotation is off,
// the distance does not matter. Events come at every instant of the grid, from
// well before the first of the three instants to well after the last, for every
// slot in the same range.
//
// A closure puts cards into states, in the stored form that a new card has: the text
// form of rotation.State, its binary form, or JSON. A system with another stored form
// cannot be visited; its result has no States.
//
// [SmallClosure] and [LargeClosure] return one.
type Closure struct {
	Workers int // goroutines; 0: one for each processor

	system    System
	ticks     int64    // of the grid in one guard
	intervals [2]int64 // in ticks, each longer than the guard
}

// SmallClosure returns the closure of a system on the grid of one minute: a guard
// of two ticks, so that an edge and its neighbours are on it, and intervals of
// three and five.
func SmallClosure(s System) Closure {
	return Closure{system: s, ticks: 2, intervals: [2]int64{5, 3}}
}

// LargeClosure returns the closure with three ticks in a guard.
func LargeClosure(s System) Closure {
	return Closure{system: s, ticks: 3, intervals: [2]int64{7, 5}}
}

// ClosureResult is the result of a closure.
type ClosureResult struct {
	States      int
	Transitions int64
	Rounds      int      // until there was no new state
	Closed      bool     // all reachable states were visited
	Failure     *Failure // a transition that breaks an invariant, or nil
	Elapsed     time.Duration
}

// relative is a state modulo a shift in time, distances in ticks: with rotation
// on from the next slot, with rotation off there are none.
type relative struct {
	interval, guard, served int64
	kind                    rotation.Kind
	hasServed               bool
}

func compareRelative(a, b relative) int {
	return cmp.Or(cmp.Compare(a.interval, b.interval), cmp.Compare(a.kind, b.kind),
		cmp.Compare(a.guard, b.guard), cmp.Compare(a.served, b.served))
}

// closureOrigin is the instant at which relative states are placed, far from both
// ends of the allowed time.
const closureOrigin = startOfRuns

// tick is the distance of two instants of the grid. A guard of 0 has none of its own.
func (c Closure) tick() int64 {
	guard := termsOf(c.system.Rules()).guard
	if guard == 0 {
		return int64(time.Minute)
	}
	return (guard + c.ticks - 1) / c.ticks
}

// limit is the distance beyond which instants are cut: see [Closure].
func (c Closure) limit(interval int64) int64 { return c.ticks + interval }

// Run visits the states.
func (c Closure) Run(ctx context.Context) ClosureResult {
	r, _ := c.search(ctx)
	return r
}

func (c Closure) search(ctx context.Context) (r ClosureResult, seen map[relative]bool) {
	started := time.Now()
	workers := c.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if storedForm(c.system) == 0 {
		return r, nil
	}
	seen = map[relative]bool{{}: true}
	frontier := []relative{{}}
	for len(frontier) > 0 && r.Failure == nil && ctx.Err() == nil {
		r.Rounds++
		explorers := make([]*explorer, workers)
		var group sync.WaitGroup
		for w := range workers {
			explorers[w] = newExplorer(c)
			group.Go(func() {
				for i := w; i < len(frontier) && ctx.Err() == nil; i += workers {
					explorers[w].explore(i, frontier[i])
				}
			})
		}
		group.Wait()
		frontier = frontier[:0:0]
		var worst *explorer
		for _, e := range explorers {
			r.Transitions += e.transitions
			for s := range e.found {
				if !seen[s] {
					seen[s] = true
					frontier = append(frontier, s)
				}
			}
			if e.failure != nil && (worst == nil || e.failedAt < worst.failedAt) {
				worst = e
			}
		}
		if worst != nil {
			r.Failure = worst.failure
		}
		slices.SortFunc(frontier, compareRelative)
	}
	r.States = len(seen)
	r.Closed = r.Failure == nil && ctx.Err() == nil
	r.Elapsed = time.Since(started)
	return r, seen
}

// explorer tries events on states.
type explorer struct {
	Closure
	terms       terms
	form        form
	polls       bool
	card        Card
	stored      []byte
	found       map[relative]bool
	transitions int64
	failure     *Failure // of the first state that has one
	failedAt    int
}

func newExplorer(c Closure) *explorer {
	return &explorer{
		Closure: c, terms: termsOf(c.system.Rules()), form: storedForm(c.system), polls: polls(c.system), card: c.system.NewCard(), found: make(map[relative]bool),
	}
}

// explore tries every event on the state, number index of its round.
func (x *explorer) explore(index int, s relative) {
	for _, v := range x.concrete(s) {
		x.events(v, func(e Event) bool {
			if x.failure == nil {
				x.transition(index, v, e)
			}
			return x.failure == nil
		})
	}
}

// concrete returns the states to try for s: itself, and where a distance may
// have been cut, the same with an interval more.
func (x *explorer) concrete(s relative) []View {
	v := View{GuardKind: s.kind, HasServed: s.hasServed}
	tick := x.tick()
	at := func(ticks int64) int64 { return closureOrigin + ticks*tick }
	if s.kind != 0 {
		v.GuardStart = at(s.guard)
	}
	if s.hasServed {
		v.Served = at(s.served)
	}
	if s.interval == 0 {
		return []View{v}
	}
	v.Interval, v.Next = s.interval*tick, at(0)
	all := []View{v}
	marks := landmarks(v)
	for i := 1; i < len(marks); i++ {
		if (marks[i]-marks[i-1])/tick <= x.limit(s.interval)-s.interval {
			continue
		}
		for _, w := range slices.Clone(all) {
			border := landmarks(w)[i] // everything from here on moves
			for _, at := range []*int64{&w.Next, &w.GuardStart, &w.Served} {
				if *at >= border {
					*at += v.Interval
				}
			}
			all = append(all, w)
		}
	}
	return all
}

// landmarks returns the instants that v has, in order.
func landmarks(v View) []int64 {
	var all []int64
	if v.Interval != 0 {
		all = append(all, v.Next)
	}
	if v.GuardKind != 0 {
		all = append(all, v.GuardStart)
	}
	if v.HasServed {
		all = append(all, v.Served)
	}
	slices.Sort(all)
	return all
}

// abstract returns the state that v is: the inverse of concrete.
func (c Closure) abstract(v View) relative {
	tick := c.tick()
	s := relative{interval: v.Interval / tick, kind: v.GuardKind, hasServed: v.HasServed}
	if v.Interval == 0 {
		return s
	}
	marks := landmarks(v)
	moved := make(map[int64]int64, len(marks)) // an instant, and where cutting leaves it
	cut, limit := int64(0), c.limit(s.interval)*tick
	for i, at := range marks {
		if i > 0 {
			if gap := at - marks[i-1]; gap > limit {
				cut += (gap - limit + v.Interval - 1) / v.Interval * v.Interval
			}
		}
		moved[at] = at - cut
	}
	next := moved[v.Next]
	if v.GuardKind != 0 {
		s.guard = (moved[v.GuardStart] - next) / tick
	}
	if v.HasServed {
		s.served = (moved[v.Served] - next) / tick
	}
	return s
}

// events yields every event that a card in state v is to be tried with.
func (x *explorer) events(v View, yield func(Event) bool) {
	tick := x.tick()
	longest := max(x.intervals[0], x.intervals[1])
	reach := (x.limit(longest) + longest) * tick
	from, to := int64(closureOrigin), int64(closureOrigin)
	if marks := landmarks(v); len(marks) > 0 {
		from, to = marks[0], marks[len(marks)-1]
	}
	from, to = from-reach, to+reach
	for at := from; at <= to; at += tick {
		if !yield(Event{Kind: rotation.KindForced, At: at}) || !yield(Event{Kind: rotation.KindDisable, At: at}) {
			return
		}
		for _, interval := range x.intervals {
			interval *= tick
			if !yield(Event{Kind: rotation.KindSetInterval, At: at, Interval: interval}) {
				return
			}
			for first := at + tick; first <= at+interval; first += tick {
				if !yield(Event{Kind: rotation.KindSetInterval, At: at, Interval: interval, HasFirst: true, First: first}) {
					return
				}
			}
		}
		if x.polls {
			if !yield(Event{Kind: rotation.KindAuto, At: at, Pollers: 1}) || !yield(Event{Kind: rotation.KindAuto, At: at, Pollers: 2}) {
				return
			}
			continue
		}
		if !yield(Event{Kind: rotation.KindAuto, At: at}) {
			return
		}
		for slot := from; slot <= to; slot += tick {
			if !yield(Event{Kind: rotation.KindAuto, At: at, HasSlot: true, Slot: slot}) {
				return
			}
		}
	}
}

// transition tries one event on one state.
func (x *explorer) transition(index int, v View, e Event) {
	x.transitions++
	var b broken
	x.stored = x.form.appendStored(x.stored[:0], v)
	restored := x.card.Restore(x.stored)
	b.unless(restored == nil && x.card.View() == v, persisted)
	out, wrong := apply(x.card, &e)
	b |= wrong
	after := x.card.View()
	var o occurrence
	o.set(x.terms, &v, &e)
	b |= transition(&o, out, after)
	x.stored = x.card.AppendStored(x.stored[:0])
	restored = cmp.Or(restored, x.card.Restore(x.stored))
	b.unless(restored == nil && x.card.View() == after, persisted)
	ref, _ := model.Resume(x.terms.model(), modelState(v))
	refOut, err := ref.Step(modelEvent(e))
	state := ref.State()
	b.unless(agrees(&refOut, err, &state, &out, &after), reference)
	if restored != nil {
		out = Outcome{Err: restoreFailed + restored.Error()}
	}
	if b != 0 {
		x.failedAt = index
		x.failure = &Failure{
			Invariant: b.first(), Also: b.list()[1:], FromState: true, Events: []Event{e}, Outcome: out,
			system: x.system, left: v, last: o, after: after, want: refOut, refErr: err, state: state,
		}
		return
	}
	x.found[x.abstract(after)] = true
}
