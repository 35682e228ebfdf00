package engine

import (
	"context"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// input is one event to apply to a card, with what the rules do not see.
type input struct {
	event       rotation.Event
	code        servicecode.Code // of the new CVV; zero: random
	compromised bool
	repaired    bool
}

// outcome is what apply decided, for the time after the commit.
type outcome struct {
	Observation
	due   time.Time // when the card is due next; zero: never
	wrote bool      // an event
}

// apply decides the event, draws a CVV if the decision says so, and sets in change
// what has to be stored. Every event of every card goes through here.
func (e *Engine) apply(ctx context.Context, change *store.Change, in input) (outcome, error) {
	c := &change.Card
	before, err := decodeState(c)
	if err != nil {
		if k := in.event.Kind(); k != rotation.KindSetInterval && k != rotation.KindDisable {
			return outcome{}, err
		}
		e.log.WarnContext(ctx, "damaged schedule found; replacing it", "card", c.ID)
		before = rotation.State{}
	}
	after, decision, err := e.rules.Decide(before, in.event)
	if err != nil {
		return outcome{}, err
	}
	if decision.Rotate() {
		if err := e.rotate(ctx, c, change.Now, in); err != nil {
			return outcome{}, err
		}
	}
	interval := c.Interval // which is there even where the state cannot be read
	changed := encodeState(c, after)
	c.Failures, c.Failure = 0, ""
	change.Write = changed || decision.Rotate()
	if op := operation(interval, after, decision); op != "" {
		c.Events++
		change.Event = e.payload(c, change.Now, op, in, decision)
	}
	return outcome{Observation{Kind: in.event.Kind(), Decision: decision}, c.Due, change.Event != nil}, nil
}

// rotate replaces the card's CVV by a new one.
func (e *Engine) rotate(ctx context.Context, c *store.Card, now time.Time, in input) error {
	avoid, err := e.avoided(ctx, c, now, in)
	if err != nil {
		return err
	}
	c.Version++
	c.PreviousCode, c.PreviousSealed = c.ServiceCode, c.Sealed
	c.PreviousUntil = time.Time{}
	if e.options.Grace > 0 && !in.compromised {
		c.PreviousUntil = now.Add(e.options.Grace)
	}
	if err := e.generator.Draw(ctx, c, in.code, avoid); err != nil {
		return fmt.Errorf("drawing a CVV: %w", err)
	}
	c.Rotated = now
	return nil
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

// encodeState sets the card's state and the columns derived from it, and reports
// whether that changed the card. It does for a card that was failing: its Due was
// later than its next slot.
func encodeState(c *store.Card, s rotation.State) bool {
	state, _ := s.AppendBinary(make([]byte, 0, 38)) // never fails
	next, _ := s.Next()                             // the zero time when there is none
	changed := string(state) != string(c.State) || !next.Equal(c.Due)
	c.State, c.Next, c.Interval, c.Due = state, next, s.Interval(), next
	return changed
}
