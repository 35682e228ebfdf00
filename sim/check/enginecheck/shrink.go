package enginecheck

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
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

// describe returns the text of a value; a zero time is "none".
func describe(v any) string {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return "none"
		}
		return v.Format(time.RFC3339Nano)
	case []time.Time:
		texts := make([]string, len(v))
		for i, t := range v {
			texts[i] = describe(t)
		}
		return "[" + strings.Join(texts, " ") + "]"
	case engine.Verdict:
		if v == 0 {
			return "no verdict"
		}
	case engine.Preview:
		return fmt.Sprintf("{%t %s %d %s}", v.Rescheduled, v.Reason, v.Scenario, describe(v.Next))
	}
	return fmt.Sprint(v)
}

// describeEvent describes an event.
func describeEvent(e event.Changed) string {
	return fmt.Sprintf("%s.%d %s, %s, version %d, next %s", e.Card, e.Number, e.Operation, e.Reason, e.Version, describe(e.Next))
}

// describeError describes how a call ended.
func describeError(err error) string {
	if err == nil {
		return "done"
	}
	return "error: " + err.Error()
}

// describeDecision describes how a call ended that decides an event.
func describeDecision(rule rotation.Rule, err error) string {
	if rule == 0 {
		return describeError(err)
	}
	return rule.String() + ", " + describeError(err)
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

// describeDifference names the fields in which two structs of one type differ; "" if
// there is none.
func describeDifference(got, want any) string {
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	var fields []string
	for i := range g.NumField() {
		if a, b := describe(g.Field(i).Interface()), describe(w.Field(i).Interface()); a != b {
			fields = append(fields, fmt.Sprintf("%s is %s, want %s", g.Type().Field(i).Name, a, b))
		}
	}
	return strings.Join(fields, "; ")
}
