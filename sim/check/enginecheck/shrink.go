package enginecheck

import (
	"cvvrotation/sim/check/campaign"
	"slices"
)

// shrink removes steps, and then faults, from a failing run while it breaks the
// same invariant.
func shrink(bug Bug, seed uint64) *Failure {
	o := drawOptions(seed)
	try := func(steps []step) *run {
		r := &run{bug: bug}
		r.perform(seed, o, steps)
		return r
	}
	steps := stepsOf(o)
	first := try(steps)
	f := &Failure{Seed: seed, Options: o.String()}
	if first.failure == nil { // the run is not a function of its seed
		return f
	}
	f.Invariant, f.Found = first.failure.invariant, min(first.failure.step+1, len(steps))
	accept := func(fewer []step) bool {
		r := try(fewer)
		if r.failure == nil || r.failure.invariant != f.Invariant {
			return false
		}
		steps = fewer[:min(r.failure.step+1, len(fewer))]
		return true
	}
	accept(steps)
	campaign.Shorten(func() int { return len(steps) }, func(from, to int) bool {
		return accept(slices.Delete(slices.Clone(steps), from, to))
	})
	for i := 0; i < len(steps); i++ {
		calm := slices.Clone(steps)
		calm[i].calm = true
		accept(calm)
	}
	last := &run{bug: bug, journal: &[]string{}}
	last.perform(seed, o, steps)
	f.Steps, f.Journal = len(steps), *last.journal
	if last.failure != nil {
		f.Detail = last.failure.detail
	}
	return f
}
