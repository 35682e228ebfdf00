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
	Options   string      // what is left of the run's options where it needs the host, else all that was drawn
	Found     int         // the card's events up to the failure, before shrinking
	Events    []Event     // one card; the last event breaks the invariant
	Outcome   Outcome     // what the system answered to that
	NeedsHost bool        // the events alone do not break it: it is what the host did about them
	Journal   []string    // with NeedsHost: what the host did, in order
	FromState bool        // the one event starts from a state that the closure had reached, not from a new card

	system System
	met    situation
	after  View
	want   model.Outcome // the reference model's answer
	refErr error
	state  model.State
	left   View // what the event before had left of the card
}

// fail shrinks what a campaign has found.
func (h *hunt) fail(found *finding) *Failure {
	f := &Failure{
		Invariant: found.failure.broken[0], Seed: found.seed,
		Options: found.options.String(), Found: len(found.trace), system: h.System,
	}
	if events, ok := shrink(h.System, eventsOf(found.trace), f.Invariant); ok {
		f.Events = events
	} else {
		f.host(h, found)
	}
	f.judge()
	return f
}

// host shrinks the run instead of the events, and keeps what happened in it.
func (f *Failure) host(h *hunt, found *finding) {
	host := &host{system: h.System, guard: h.System.Guard(), bug: h.Bug.host}
	o := shrinkRun(host, found.seed, found.options, f.Invariant)
	host.journal = &journal{}
	host.run(found.seed, o)
	f.NeedsHost, f.Options = true, o.String()
	if host.failure == nil { // a system that is no function of its seed
		f.Events, f.Also = eventsOf(found.trace), found.failure.broken[1:]
		return
	}
	f.Also, f.left, f.met = host.failure.broken[1:], host.failure.left, host.failure.met
	card := host.failure.card
	f.Events = eventsOf(host.cards[card].trace)
	for _, l := range host.journal.lines {
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

// judge fills in what is known of the last event.
func (f *Failure) judge() {
	if len(f.Events) == 0 {
		return
	}
	if v := openLoop(f.system, f.Events); !f.NeedsHost {
		f.Also = v.broken.list()[1:]
		f.Outcome, f.left, f.met, f.after = v.outcome, v.left, v.met, v.after
	}
	ref, _ := model.New(model.Rules{Guard: time.Duration(f.system.Guard())})
	for _, e := range f.Events {
		f.want, f.refErr = ref.Step(modelEvent(e))
	}
	f.state = ref.State()
}
