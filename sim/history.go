package sim

import (
	"slices"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/sim/timeline"
)

// HistorySteps returns the steps of a card's history for a drawing: the rules that
// decided, and the steps in the order of time with the history's sentences. The events
// come newest first, as event.Explain returns them. Where an event was decided under
// other rules than the newest, it and older ones are left out.
//
// The states are those of a [Verifier]: where older events are missing, they are
// inferred. Where the rules decide something else than the event reports, the step
// differs from its entry's expectations.
func HistorySteps(events []event.Explained) (rotation.Rules, []Step, error) {
	if len(events) == 0 {
		return rotation.Rules{}, nil, nil
	}
	rules := events[0].Rules
	if i := slices.IndexFunc(events, func(e event.Explained) bool { return e.Rules != rules }); i >= 0 {
		events = events[:i]
	}
	v := NewVerifier(rules, VerifierOptions{Recorded: true, IntervalUnit: -1})
	var steps []Step
	for _, e := range slices.Backward(events) {
		f, err := v.Apply(timeline.DaemonEntry(e.Changed))
		if err != nil {
			return rules, nil, err
		}
		f.Step.Sentence = e.Sentence
		steps = append(steps, f.Step)
	}
	return rules, steps, nil
}
