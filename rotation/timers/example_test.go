package timers_test

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation"
	"cvvrotation/rotation/timers"
	"cvvrotation/rotation/timers/timerstest"
)

// database stands for a table of cards.
type database struct {
	rules  rotation.Rules
	random cvvgen.Random
	lock   sync.Mutex // stands for the row locks
	rows   map[string]row
}

type row struct {
	state rotation.State
	cvv   cvvgen.CVV
}

// update applies the event that choose returns for the stored state, if it returns
// one, and returns the state that is then stored.
func (db *database) update(card string, choose func(rotation.State) (rotation.Event, bool)) (rotation.State, error) {
	db.lock.Lock() // BEGIN; SELECT … FOR UPDATE
	defer db.lock.Unlock()
	c := db.rows[card]
	event, ok := choose(c.state)
	if !ok {
		return c.state, nil // another process was faster, or the schedule has moved
	}
	state, decision, err := db.rules.Decide(c.state, event)
	if err != nil {
		return c.state, err // nothing has changed
	}
	if c.state = state; decision.Rotate() {
		c.cvv = db.random.Next(c.cvv)
		fmt.Println(event.At().Format(time.DateTime), card, event.Kind(), decision.Reason())
	}
	db.rows[card] = c // UPDATE; COMMIT
	return state, nil
}

// A service that wakes for each card, instead of polling.
func Example() {
	clk := clock.NewMock() // clock.New() in a service
	clk.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	db := openDatabase(clk.Now()) // two cards that rotate daily at 3 PM

	ts, err := timers.New(clk, func(ctx context.Context, card string) (rotation.State, error) {
		return db.update(card, func(s rotation.State) (rotation.Event, bool) {
			return s.Due(clk.Now()) // read the clock under the lock
		})
	}, timers.Options{Workers: 4})
	if err != nil {
		log.Fatal(err)
	}
	for card, c := range db.rows { // after each start: all cards, overdue or not
		ts.Arm(card, c.state)
	}
	go ts.Run(context.Background())
	defer ts.Stop() // waits for the callbacks that are running

	force := func(card string) {
		err := ts.Update(card, func() (rotation.State, error) { // arms the card AFTER the commit
			return db.update(card, func(rotation.State) (rotation.Event, bool) {
				return rotation.Forced(clk.Now()), true
			})
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	timerstest.Advance(clk, 20*time.Hour) // in a test
	force("card-1")
	timerstest.Advance(clk, 28*time.Hour)
	// Output:
	// 2026-11-23 11:00:00 card-1 forced scheduled
	// 2026-11-23 15:00:00 card-2 auto scheduled
	// 2026-11-24 11:00:00 card-1 auto scheduled
	// 2026-11-24 15:00:00 card-2 auto scheduled
}

func openDatabase(now time.Time) *database {
	daily, _, err := rotation.Rules{}.Decide(rotation.State{}, rotation.SetInterval(now, 24*time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	return &database{rows: map[string]row{"card-1": {state: daily}, "card-2": {state: daily}}}
}
