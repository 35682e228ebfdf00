package enginecheck

import (
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
	for size := len(steps) / 2; size > 0; {
		taken := false
		for from := len(steps) - size; from >= 0; from -= size {
			if from+size <= len(steps) && accept(slices.Delete(slices.Clone(steps), from, from+size)) {
				taken = true
			}
		}
		if !taken || size > len(steps) {
			size /= 2
		}
	}
	for i := range steps {
		calm := slices.Clone(steps)
		if calm[min(i, len(calm)-1)].calm = true; i < len(steps) {
			accept(calm)
		}
	}
	last := &run{bug: bug, journal: &[]string{}}
	last.perform(seed, o, steps)
	f.Steps, f.Journal = len(steps), *last.journal
	if last.failure != nil {
		f.Detail = last.failure.detail
	}
	return f
}
