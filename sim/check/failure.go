package check

import (
	"fmt"

	"cvvrotation/sim/model"
)

// Failure is a broken invariant, shrunk.
type Failure struct {
	Invariant Invariant
	Also      []Invariant // what the same event breaks as well
	Seed      uint64      // of the run; 0 when no campaign found it
	Options   string      // what was drawn for the run; with NeedsHost, what is left after shrinking
	Found     int         // the card's events up to the failure, before shrinking
	Events    []Event     // one card; the last event breaks the invariant
	Outcome   Outcome     // what the system answered to that
	NeedsHost bool        // the events alone do not break it: the mistake is in the host
	Journal   []string    // with NeedsHost: what the host did, in order
	FromState bool        // the one event starts from a state that the closure had reached, not from a new card
	Once      bool        // the same events on a new card break nothing: the system is no function of its events

	system System
	last   occurrence
	after  View
	want   model.Outcome // the reference model's answer
	refErr error
	state  model.State
	left   View // the card after the previous event
}

// shrink returns the failure of a run, shrunk: its events alone if they break the
// invariant without the host, else the run.
func (r *finding) shrink() *Failure {
	f := &Failure{
		Seed: r.seed, Options: r.options.String(), Found: len(r.trace), system: r.system,
	}
	if events, v, ok := shrink(r.system, eventsOf(r.trace), r.failure.first()); ok {
		f.explain(events, v)
	} else {
		f.shrinkRun(r)
	}
	return f
}

// shrinkRun shrinks the run instead of the events, and keeps its journal.
func (f *Failure) shrinkRun(r *finding) {
	h := newHost(r.system, r.bug)
	o := shrinkRun(h, r.seed, r.options, r.failure.first())
	h.journal = &journal{}
	h.run(r.seed, o)
	if h.failure == nil {
		f.Once = true
		f.explain(eventsOf(r.trace), r.failure.verdict)
		return
	}
	f.NeedsHost, f.Options = true, o.String()
	card := h.failure.card
	f.explain(eventsOf(h.cards[card].trace), h.failure.verdict)
	for _, l := range h.journal.lines {
		if l.card < 0 || l.card == card {
			f.Journal = append(f.Journal, fmt.Sprintf("%v  %s", instant(l.at), l.text))
		}
	}
}

func eventsOf(trace []traced) []Event {
	events := make([]Event, len(trace))
	for i, t := range trace {
		events[i] = t.event
	}
	return events
}

// explain fills in the events, what the last of them met and broke, and what the
// reference model decides of it.
func (f *Failure) explain(events []Event, v verdict) {
	f.Events, f.Invariant, f.Also = events, v.first(), v.list()[1:]
	f.Outcome, f.left, f.last, f.after = v.outcome, v.left, v.last, v.after
	ref, _ := model.New(termsOf(f.system.Rules()).model())
	for _, e := range f.Events {
		f.want, f.refErr = ref.Step(modelEvent(e))
	}
	f.state = ref.State()
}
