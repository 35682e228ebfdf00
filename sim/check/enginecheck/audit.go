package enginecheck

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/model"
)

// History is what an observer outside sees of an engine: the stored cards and
// events, and the answers to callers.
type History struct {
	Guard   time.Duration      // of the engine's rules; 0 holds nothing
	From    rotation.GuardFrom // where they measure it from; default the request
	At      time.Time          // when the cards were read: no card may be due by then
	Cards   []store.Card       // all of them
	Events  []store.Queued     // all that were ever written, in the order of positions
	Answers []engine.Rotation  // to forced calls, one for each idempotency key
	// Complete is set if every forced call was answered in the end: then a
	// rotation without an answer is an error.
	Complete bool
	// Delivered holds the events in the order in which a subscriber got them;
	// nil: deliveries are not checked.
	Delivered []store.Event
}

// Audit returns the inconsistencies of a history; none if all of this holds: each
// card's events are numbered from 1 without a gap; each rotation adds one version;
// the reference model decides the same when it replays the events, and ends in the
// stored state; each answer belongs to a rotation of its own; and each event was
// delivered, first deliveries in order.
func Audit(h History) (wrong []error) {
	cards := make(map[string]*audited, len(h.Cards))
	say := func(card, format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("card %s: "+format, append([]any{card}, args...)...))
	}
	for _, c := range h.Cards {
		rules, _ := model.New(model.Rules{Guard: h.Guard, FromScheduling: h.From == rotation.GuardFromScheduling})
		cards[c.ID] = &audited{version: 1, rules: rules, forced: map[int64]event.Changed{}}
	}
	for _, q := range h.Events {
		a := cards[q.Card]
		if a == nil {
			say(q.Card, "an event belongs to a card that does not exist")
			continue
		}
		if err := a.event(q); err != nil {
			say(q.Card, "event %s: %v", q.ID(), err)
		}
	}
	for _, answer := range h.Answers {
		a := cards[answer.Card]
		if a == nil {
			say(answer.Card, "a call was answered for a card that does not exist")
			continue
		}
		e, ok := a.forced[answer.Version]
		switch {
		case !ok:
			say(answer.Card, "a forced call was answered with version %d at %v, which has no event", answer.Version, answer.At)
		case a.answered[answer.Version]:
			say(answer.Card, "two forced calls with different keys were answered with version %d", answer.Version)
		case !e.At.Equal(answer.At) || !e.Next.Equal(answer.Next) || e.Reason != answer.Reason || e.Rescheduled != answer.Rescheduled:
			say(answer.Card, "a forced call was answered with %v, %v, next %v; its event has %v, %v, next %v",
				answer.At, answer.Reason, answer.Next, e.At, e.Reason, e.Next)
		}
		if a.answered == nil {
			a.answered = map[int64]bool{}
		}
		a.answered[answer.Version] = true
	}
	for _, c := range h.Cards {
		a := cards[c.ID]
		if err := a.end(&c, h.At); err != nil {
			say(c.ID, "%v", err)
		}
		if h.Complete && len(a.forced) != len(a.answered) {
			say(c.ID, "%d forced rotations, but %d forced calls", len(a.forced), len(a.answered))
		}
	}
	if h.Delivered == nil {
		return wrong
	}
	got := map[string]map[int64]bool{}
	for _, e := range h.Delivered {
		if got[e.Card] == nil {
			got[e.Card] = map[int64]bool{}
		}
		if e.Number > 1 && !got[e.Card][e.Number-1] {
			say(e.Card, "event %d was delivered before event %d", e.Number, e.Number-1)
		}
		got[e.Card][e.Number] = true
	}
	for _, c := range h.Cards {
		for n := int64(1); n <= c.Events; n++ {
			if !got[c.ID][n] {
				say(c.ID, "event %d of %d was never delivered", n, c.Events)
			}
		}
	}
	return wrong
}

// audited is one card, rebuilt from its events.
type audited struct {
	rules    model.Card
	number   int64
	version  int64
	inFlight time.Time // the newest instant at which an automatic rotation was held: it may have served any slot up to then
	forced   map[int64]event.Changed
	answered map[int64]bool
}

// event applies the next event of the card.
func (a *audited) event(q store.Queued) error {
	a.number++
	c, err := event.ParseStrict(q.Payload)
	if err != nil {
		return err
	}
	if q.Number != a.number || c.Number != a.number || c.Card != q.Card || !c.At.Equal(q.At) {
		return fmt.Errorf("want number %d of the card; the columns have %d, %v, the payload %d, %v", a.number, q.Number, q.At, c.Number, c.At)
	}
	if c.Operation == event.OperationRotate {
		a.version++
	}
	if c.Version != a.version {
		a.version, err = c.Version, fmt.Errorf("it has version %d, but the rotations so far give %d", c.Version, a.version)
		return err
	}
	if c.Operation == event.OperationRotate && !c.Automatic {
		a.forced[c.Version] = c
	}
	closest := ""
	for _, e := range a.candidates(c) {
		after := a.rules
		out, err := after.Step(e)
		difference := ""
		if err != nil {
			difference = err.Error()
		} else {
			difference = differing(c, out)
		}
		if difference != "" {
			closest = cmp.Or(closest, difference)
			continue
		}
		a.rules = after
		if c.Automatic && c.Reason == rotation.ReasonGuard && c.At.After(a.inFlight) {
			a.inFlight = c.At
		}
		return nil
	}
	return fmt.Errorf("the reference model decides nothing that matches it: %s", closest)
}

// candidates returns the events that c may report.
func (a *audited) candidates(c event.Changed) []model.Event {
	switch {
	case c.Operation == event.OperationDeleteInterval:
		return []model.Event{{Kind: model.Disable, At: c.At}}
	case c.Operation == event.OperationChangeInterval:
		return []model.Event{
			{Kind: model.SetInterval, At: c.At, Interval: c.Interval, First: model.At(c.Next)},
			// The event has the interval in microseconds.
			{Kind: model.SetInterval, At: c.At, Interval: c.Next.Sub(c.At)},
			{Kind: model.SetInterval, At: c.At, Interval: c.Interval + 1, First: model.At(c.Next)},
		}
	case !c.Automatic:
		return []model.Event{{Kind: model.Forced, At: c.At}}
	}
	slot := model.At(c.Slot)
	slot.OK = !c.Slot.IsZero()
	return []model.Event{{Kind: model.Auto, At: c.At, Slot: slot}}
}

// differing names the members in which the event differs from the outcome; "" if in none.
func differing(c event.Changed, out model.Outcome) string {
	type decided struct {
		Rotate, Rescheduled bool
		Reason              string
		Scenario            int
		Missed              int64
		Next                time.Time
	}
	return describeDifference(
		decided{c.Operation == event.OperationRotate, c.Rescheduled, c.Reason.String(), c.Scenario, c.Missed, c.Next.UTC()},
		decided{out.Rotate, out.Reschedule, out.Reason, out.Scenario, out.Missed, out.Next.Time.UTC()})
}

// end compares the stored card with the state that its events lead to.
func (a *audited) end(c *store.Card, at time.Time) error {
	var s rotation.State
	if len(c.State) > 0 {
		if err := s.UnmarshalBinary(c.State); err != nil {
			return err
		}
	}
	must := a.rules.State()
	next, _ := s.Next()
	start, kind, _ := s.Guard()
	served, _ := s.Served()
	switch {
	case c.Events != a.number:
		return fmt.Errorf("the card has %d events, but counts %d", a.number, c.Events)
	case c.Version != a.version:
		return fmt.Errorf("its events give version %d, but version %d is stored", a.version, c.Version)
	case s.Interval() != must.Interval || c.Interval != must.Interval:
		return fmt.Errorf("the interval is %v, and %v in the state; its events give %v", c.Interval, s.Interval(), must.Interval)
	case !next.Equal(must.Next.Time) || !c.Next.Equal(must.Next.Time):
		return fmt.Errorf("the next slot is %v, and %v in the state; its events give %v", c.Next, next, must.Next.Time)
	case !start.Equal(must.GuardStart.Time) || kind != modelKinds[must.GuardKind]:
		return fmt.Errorf("the guard started at %v by %v; its events give %v by %s", start, kind, must.GuardStart.Time, must.GuardKind)
	case served.Before(must.Served.Time) || served.After(must.Served.Time) && served.After(a.inFlight):
		return fmt.Errorf("the newest slot served is %v; its events give %v, or any slot in flight up to %v", served, must.Served.Time, a.inFlight)
	case !c.Due.IsZero() && !c.Due.After(at):
		return fmt.Errorf("it has been due since %v, and the time is %v", c.Due, at)
	}
	return nil
}

// audit checks the history of the run with [Audit].
func (r *run) audit() {
	h := History{Guard: r.o.rules.Guard(), From: r.o.rules.GuardFrom(), Events: r.base.Written(0), Answers: r.answers, At: r.at()}
	for _, l := range r.cards {
		if l.registered {
			c, err := r.base.Card(context.Background(), l.ref.Card)
			if err != nil {
				r.violate(stored, "%v", err)
				return
			}
			h.Cards = append(h.Cards, c)
		}
	}
	for _, err := range Audit(h) {
		r.violate(history, "%v", err)
	}
}
