package sim

import (
	"cvvrotation/rotation"
	"cvvrotation/sim/timeline"
)

// Step is one event and what came of it.
type Step struct {
	Entry    timeline.Entry
	Before   rotation.State // the card's state before the event
	After    rotation.State // and after it
	Decision rotation.Decision
	Fired    bool // by the loop's virtual clock; not an entry of the timeline

	// Sentence replaces that of the rules: of a record that says more than its event
	// does, or whose state before is not known. Default: none.
	Sentence string
}

// Explain returns the step's sentence, as rotation.Rules.Explain makes it unless the
// step has one.
func (s Step) Explain(rules rotation.Rules) string {
	if s.Sentence != "" {
		return s.Sentence
	}
	return rules.Explain(s.Before, s.Entry.Event)
}

// Outcome returns the step's decision as an expectation that it fulfils.
func (s Step) Outcome() timeline.Expect { return timeline.Expected(s.Decision, s.After) }

// Replay applies events to cards. The zero value is not ready: use [NewReplay].
// It is for one goroutine at a time.
type Replay struct {
	rules rotation.Rules
	cards map[string]*rotation.State
}

// NewReplay returns a Replay under the rules in which no card has a history.
func NewReplay(rules rotation.Rules) *Replay {
	return &Replay{rules: rules, cards: make(map[string]*rotation.State)}
}

// Apply applies one event to its card, whatever the order of the instants. An
// event that the rules refuse is a [*rotation.EventError] and changes nothing.
func (r *Replay) Apply(e timeline.Entry) (Step, error) {
	state, known := r.cards[e.Card]
	if !known {
		state = new(rotation.State)
	}
	after, d, err := r.rules.Decide(*state, e.Event)
	if err != nil {
		return Step{}, err
	}
	step := Step{Entry: e, Before: *state, After: after, Decision: d}
	*state = after
	if !known {
		r.cards[e.Card] = state
	}
	return step, nil
}
