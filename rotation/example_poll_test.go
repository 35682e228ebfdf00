package rotation_test

import (
	"fmt"
	"log"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
)

// row is a row of the service's own table.
type row struct {
	state  rotation.State
	cvv    cvvgen.CVV
	nextAt time.Time // State.Next, for the index
	on     bool      // nextAt is NULL unless on
}

// A service rotates the cards that are due. The map stands for a table with an
// index on next_at.
func Example_poll() {
	var rules rotation.Rules // the zero value: a guard of 2 minutes
	var random cvvgen.Random // the zero value: 3 digits
	threePM := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	daily, _, err := rules.Decide(rotation.State{}, rotation.SetInterval(threePM, 24*time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	cards := map[string]row{"card-1": {state: daily}}
	now := func() time.Time { return threePM.Add(24*time.Hour + 3*time.Second) }

	for id, c := range cards { // SELECT … WHERE next_at <= now() FOR UPDATE SKIP LOCKED
		if event, due := c.state.Due(now()); due { // read the clock under the lock
			state, decision, err := rules.Decide(c.state, event)
			if err != nil {
				log.Printf("card %s: %v", id, err) // the card is unchanged
				continue
			}
			if decision.Rotate() {
				c.cvv = random.Next(c.cvv) // never the previous value
			}
			nextAt, on := state.Next()
			cards[id] = row{state, c.cvv, nextAt, on} // commit BEFORE you answer or publish
		}
	}

	fmt.Println(cards["card-1"].state.Next())
	fmt.Println(cards["card-1"].cvv)
	// Output:
	// 2026-11-24 15:00:00 +0000 UTC true
	// [redacted]
}
