package rotation_test

import (
	"fmt"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
)

type card struct {
	state rotation.State
	cvv   cvvgen.CVV
}

type issuer struct {
	rules  rotation.Rules // the zero value: a guard of 2 minutes
	random cvvgen.Random  // the zero value: 3 digits
	cards  map[string]card
}

// apply is all that a service does with an event.
func (s *issuer) apply(id string, e rotation.Event) (rotation.Decision, error) {
	c := s.cards[id] // in a transaction that locks the card, in real life
	state, decision, err := s.rules.Decide(c.state, e)
	if err != nil {
		return decision, err // nothing has changed
	}
	c.state = state
	if decision.Rotate() {
		c.cvv = s.random.Next(c.cvv) // never the value that it replaces
	}
	s.cards[id] = c // persist BEFORE acting on it: answer, publish, wake
	return decision, nil
}

// poll rotates the cards that are due.
func (s *issuer) poll(now time.Time) error {
	for id, c := range s.cards { // in real life, those whose column next_at has come
		if e, due := c.state.Due(now); due {
			if _, err := s.apply(id, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func Example_embedding() {
	s := &issuer{cards: make(map[string]card)}
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for _, e := range []rotation.Event{
		rotation.SetInterval(threePM.Add(-6*time.Hour), 24*time.Hour),
		rotation.Forced(threePM),
		rotation.Forced(threePM.Add(time.Minute)),
	} {
		fmt.Println(s.apply("card-1", e))
	}
	fmt.Println(s.cards["card-1"].state.Next())
	fmt.Println(s.poll(threePM.Add(24 * time.Hour)))
	fmt.Println(s.cards["card-1"].state.Next())
	fmt.Println(s.cards["card-1"].cvv)
	// Output:
	// R8 interval_set <nil>
	// R3 scheduled <nil>
	// R2 guard, scenario 3 <nil>
	// 2026-11-23 15:00:00 +0000 UTC true
	// <nil>
	// 2026-11-24 15:00:00 +0000 UTC true
	// [redacted]
}
