package enginecheck

import (
	"fmt"
	"slices"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/sim/check/campaign"
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

// describeError describes how a call ended.
func describeError(err error) string {
	if err == nil {
		return "done"
	}
	return "error: " + err.Error()
}

// describeForce describes a forced call.
func describeForce(req engine.ForceRequest) string {
	words := "without a key"
	if req.Key != "" {
		words = fmt.Sprintf("with the key %q", req.Key)
	}
	if req.ServiceCode.IsValid() {
		words += ", to service code " + req.ServiceCode.String()
	}
	if req.Compromised {
		words += ", as compromised"
	}
	return words
}

// describeAnswer describes an answer: everything in it that is compared.
func describeAnswer(r engine.Rotation) string {
	words := fmt.Sprintf("%s (%s, scenario %d, missed %d) for %s at %s: version %d, service code %s, rotated %t, rescheduled %t",
		r.Rule, r.Reason, r.Scenario, r.Missed, r.Card, r.At.Format(time.RFC3339Nano), r.Version, r.ServiceCode, r.Rotated, r.Rescheduled)
	if r.Next.IsZero() {
		words += ", no next slot"
	} else {
		words += ", next " + r.Next.Format(time.RFC3339Nano)
	}
	if r.Replayed {
		words += ", replayed"
	}
	return words
}
