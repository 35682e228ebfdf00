package check

import (
	"bytes"

	"cvvrotation/sim/model"
)

// oracle checks one card against every invariant, event by event. It keeps its own
// record of the card, so it does not depend on the system under test.
type oracle struct {
	terms  terms
	card   Card
	ref    model.Card
	stored []byte // as the last event left it
	spare  []byte
	fresh  []byte     // the stored form of a new card
	last   occurrence // what the last event met
	view   View       // the state after it
	left   View       // what the event before had left
	memory memory
}

// restoreFailed begins the Outcome.Err of an event for which Restore failed.
const restoreFailed = "Restore failed: "

func newOracle(s System) *oracle {
	j := &oracle{terms: termsOf(s.Rules()), card: s.NewCard()}
	j.fresh = j.card.AppendStored(nil)
	j.reset()
	return j
}

// reset returns the card to its state before any event.
func (j *oracle) reset() {
	j.stored = append(j.stored[:0], j.fresh...)
	// The guard of a system is never negative, and nothing else is an error.
	j.ref, _ = model.New(j.terms.model())
	j.view, j.memory = View{}, memory{}
}

// step applies an event to the card as stored, and returns the answer and the
// broken invariants. The new stored form is j.stored. A poll gets its slot.
func (j *oracle) step(stored []byte, e *Event) (out Outcome, b broken) {
	if !bytes.Equal(stored, j.stored) {
		b.unless(false, durable)
	}
	j.left = j.view
	if err := j.card.Restore(stored); err != nil {
		b.unless(false, persisted)
		j.last.set(j.terms, &j.view, e)
		return Outcome{Err: restoreFailed + err.Error()}, b
	}
	before := j.card.View()
	if b == 0 {
		b.unless(before == j.view, persisted)
	}
	out, wrong := apply(j.card, e)
	b |= wrong
	after := j.card.View()
	j.view = after
	j.spare = j.card.AppendStored(j.spare[:0])
	j.stored, j.spare = j.spare, j.stored

	j.last.set(j.terms, &before, e)
	b |= transition(&j.last, out, after)
	b |= j.memory.event(&j.last, out, after)
	refOut, err := j.ref.Step(modelEvent(*e))
	state := j.ref.State()
	b.unless(agrees(&refOut, err, &state, &out, &after), reference)
	return out, b
}
