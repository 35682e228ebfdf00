package engine

import (
	"context"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// change is one event applied to a card within a transaction.
type change struct {
	event       rotation.Event
	code        servicecode.Code // of the new CVV; zero: random
	compromised bool
	repaired    bool
}

// apply decides the event, draws if the decision says so, and puts into tx what
// has to be stored: the whole of what the engine does to a card.
func (e *Engine) apply(ctx context.Context, tx *store.Change, ch change) (rotation.Decision, error) {
	c := &tx.Card
	before, err := decodeState(c)
	if err != nil {
		if k := ch.event.Kind(); k != rotation.KindSetInterval && k != rotation.KindDisable {
			return rotation.Decision{}, err
		}
		// A new schedule replaces one that can't be read.
		e.log.WarnContext(ctx, "a damaged schedule is replaced", "card", c.ID)
		before = rotation.State{}
	}
	after, decision, err := e.rules.Decide(before, ch.event)
	if err != nil {
		return rotation.Decision{}, err
	}
	if decision.Rotate() {
		c.Version++
		c.PreviousCode, c.PreviousSealed = c.ServiceCode, c.Sealed
		c.PreviousUntil = time.Time{}
		if e.options.Grace > 0 && !ch.compromised {
			c.PreviousUntil = tx.Now.Add(e.options.Grace)
		}
		if err := e.generator.Draw(ctx, c, ch.code); err != nil {
			return rotation.Decision{}, fmt.Errorf("drawing a CVV: %w", err)
		}
		c.Rotated = tx.Now
	}
	interval := c.Interval // which is there even where the state can't be read
	changed := encodeState(c, after)
	c.Failures, c.Failure = 0, ""
	tx.Write = changed || decision.Rotate()
	if op := operation(interval, after, decision); op != "" {
		c.Events++
		tx.Event = e.encode(c, tx.Now, event.Changed{
			Operation:   op,
			Automatic:   ch.event.Kind() == rotation.KindAuto,
			Rescheduled: decision.Reschedule(),
			Reason:      decision.Reason(),
			Scenario:    decision.Scenario,
			Missed:      decision.Missed,
			Compromised: ch.compromised,
			Repaired:    ch.repaired,
		})
	}
	return decision, nil
}

// operation returns what subscribers are told of a decision, given the interval
// before; "" is nothing, which is for what changed neither the CVV nor the
// schedule.
func operation(before time.Duration, after rotation.State, d rotation.Decision) event.Operation {
	switch {
	case d.Rotate():
		return event.Rotate
	case d.Reschedule():
		return event.ChangeInterval
	case before != 0 && after.Interval() == 0:
		return event.DeleteInterval
	}
	return ""
}

// encode completes an event of the card, as it now is, for the outbox.
func (e *Engine) encode(c *store.Card, now time.Time, ev event.Changed) *store.Event {
	ev.Source, ev.Card, ev.Account = e.options.Source, c.ID, c.Account
	ev.Number, ev.Version, ev.At = c.Events, c.Version, now
	ev.Next, ev.Interval = c.Next, c.Interval
	return &store.Event{
		Card: c.ID, Number: ev.Number, At: now,
		Payload: ev.AppendJSON(make([]byte, 0, 640)),
	}
}

func decodeState(c *store.Card) (rotation.State, error) {
	var s rotation.State
	if len(c.State) == 0 {
		return s, nil
	}
	if err := s.UnmarshalBinary(c.State); err != nil {
		return s, fmt.Errorf("the schedule of card %s: %w", c.ID, err)
	}
	return s, nil
}

// encodeState puts the state into the card with what is indexed of it, and
// reports whether the card is another one now. One that was failing is: its Due
// was later than its next slot.
func encodeState(c *store.Card, s rotation.State) bool {
	state, _ := s.AppendBinary(make([]byte, 0, 38)) // never fails
	next, _ := s.Next()                             // the zero time when there is none
	changed := string(state) != string(c.State) || !next.Equal(c.Due)
	c.State, c.Next, c.Interval, c.Due = state, next, s.Interval(), next
	return changed
}

// done tells the world of a change that is committed.
func (e *Engine) done(o Observation, c *store.Card, wrote bool) {
	e.observer.Decided(o)
	if wrote {
		e.options.Written()
	}
	e.wakeFor(c.Due)
}

// update runs fn on a card that is there for ref.
func (e *Engine) update(ctx context.Context, ref Ref, key string, fn func(*store.Change) error) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	return e.locked(ctx, ref, key, func(tx *store.Change) error {
		if err := owned(&tx.Card, ref); err != nil {
			return err
		}
		return fn(tx)
	})
}
