package check

import (
	"fmt"
	"time"

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
		Invariant: r.failure.broken[0], Seed: r.seed, Options: r.options.String(), Found: len(r.trace), system: r.system,
	}
	if events, ok := shrink(r.system, eventsOf(r.trace), f.Invariant); ok {
		f.Events = events
	} else {
		f.shrinkRun(r)
	}
	f.explainLast()
	return f
}

// shrinkRun shrinks the run instead of the events, and keeps its journal.
func (f *Failure) shrinkRun(r *finding) {
	h := newHost(r.system, r.bug)
	o := shrinkRun(h, r.seed, r.options, f.Invariant)
	h.journal = &journal{}
	h.run(r.seed, o)
	f.NeedsHost, f.Options = true, o.String()
	if h.failure == nil { // the system is not a function of its seed
		f.Events, f.Also = eventsOf(r.trace), r.failure.broken[1:]
		return
	}
	f.Also, f.left, f.last = h.failure.broken[1:], h.failure.left, h.failure.last
	card := h.failure.card
	f.Events = eventsOf(h.cards[card].trace)
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

// explainLast fills in what the last event met, and what the reference model
// decides of it.
func (f *Failure) explainLast() {
	if len(f.Events) == 0 {
		return
	}
	if v := openLoop(f.system, f.Events); !f.NeedsHost {
		f.Also = v.broken.list()[1:]
		f.Outcome, f.left, f.last, f.after = v.outcome, v.left, v.last, v.after
	}
	ref, _ := model.New(model.Rules{Guard: time.Duration(f.system.Guard())})
	for _, e := range f.Events {
		f.want, f.refErr = ref.Step(modelEvent(e))
	}
	f.state = ref.State()
}
