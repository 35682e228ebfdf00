// Package timers wakes for cards when their next slots have come: the rules of package
// rotation on an injectable clock, for a service that does not poll.
//
// A service, whose database.update decides under the row lock (Example):
//
//	clk := clock.NewMock() // clock.New() in a service
//	clk.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
//	db := openDatabase(clk.Now()) // two cards that rotate daily at 3 PM
//
//	ts, err := timers.New(clk, func(ctx context.Context, card string) (rotation.State, error) {
//		return db.update(card, func(s rotation.State) (rotation.Event, bool) {
//			return s.Due(clk.Now()) // read the clock under the lock
//		})
//	}, timers.Options{Workers: 4})
//	if err != nil {
//		log.Fatal(err)
//	}
//	for card, c := range db.rows { // after each start: all cards, overdue or not
//		ts.Arm(card, c.state)
//	}
//	go ts.Run(context.Background())
//	defer ts.Stop() // waits for the callbacks that are running
//
//	force := func(card string) {
//		err := ts.Update(card, func() (rotation.State, error) { // arms the card AFTER the commit
//			return db.update(card, func(rotation.State) (rotation.Event, bool) {
//				return rotation.Forced(clk.Now()), true
//			})
//		})
//		if err != nil {
//			log.Fatal(err)
//		}
//	}
//
//	timerstest.Advance(clk, 20*time.Hour) // in a test
//	force("card-1")
//	timerstest.Advance(clk, 28*time.Hour)
//
// # The order of deliveries
//
// A card is due when the clock reaches its slot, to the nanosecond. Of the cards that
// are due, the one with the oldest slot comes first, and cards of one slot come in the
// order of their ids. Up to [Options].Workers callbacks run at one time; a card whose
// callback runs is not delivered again until it has returned. A card whose callback
// fails, panics, or serves nothing is retried after 1 second, doubled with each further
// failure up to an hour, and shortened by up to a half so that cards that failed
// together are retried one by one. Other cards do not wait for it.
//
// # Clocks
//
// A clock may step. If it steps back, cards wait for their slots by the new time; if it
// steps ahead, Timers notices within a minute. The callback decides by its own clock
// with Due, so a wake-up that was too early changes nothing: the card is retried.
//
// Tests use testing/synctest with the real clock, in which all of this is
// deterministic with one worker, or a mock clock with timerstest.Advance. The Add of a
// mock clock does not wait for callbacks.
//
// # Limits
//
// Timers knows what Arm and the callback told it, in this process. If another process
// sets an earlier slot, Timers wakes at the old one, which is late: let one process own
// a card, or poll as well. After a restart, arm all cards from
// the stored states. A card takes some 36 bytes beside its id.
package timers
