// Package rotation decides when the CVV of a virtual card rotates and when its
// next automatic rotation is due.
//
// # What it decides
//
// A card's CVV rotates on a schedule and at once when a call forces it. Each
// rotation asks for a new scheduling, and a guard of two minutes keeps
// schedulings apart: within it the CVV still rotates, but the schedule stays.
// [Rules.Decide] is the whole of it: the rules, a card's [State] and an [Event]
// in; the new State and a [Decision] out. It is a pure function: no clock,
// no goroutine, no randomness, no I/O, and no digit of a CVV ever comes near
// it, so that traces of it are safe to keep. The rules are numbered R1 to R22,
// and each is named where it is carried out.
//
// # What it leaves to you
//
// Time, storage and digits: you keep the [State] of each card, read the clock,
// wake when [State.Next] has come, and draw the new CVV (package cvvgen).
// A service that polls does all of it in the loop of Example_poll:
//
//	for id, c := range cards { // SELECT … WHERE next_at <= now() FOR UPDATE SKIP LOCKED
//		if event, due := c.state.Due(now()); due { // read the clock under the lock
//			state, decision, err := rules.Decide(c.state, event)
//			if err != nil {
//				log.Printf("card %s: %v", id, err) // the card is unchanged
//				continue
//			}
//			if decision.Rotate() {
//				c.cvv = random.Next(c.cvv) // never the previous value
//			}
//			nextAt, on := state.Next()
//			cards[id] = row{state, c.cvv, nextAt, on} // commit BEFORE you answer or publish
//		}
//	}
//
// # Your duties, in this order
//
//  1. Apply the events of one card ONE AT A TIME, each to the state that the
//     previous one left. Cards are independent of each other.
//  2. Read the clock once for each event, AFTER you hold the card and BEFORE
//     Decide, and pass that instant.
//  3. PERSIST the new state, with the new CVV, BEFORE you act on it: before you
//     answer, publish or arm. A crash in between then repeats nothing.
//  4. Wake for the card AFTER that, at Next, by a timer (package rotation/timers)
//     or by polling a column that holds Next. Waking late, early or twice does no harm. A wake-up must
//     not be lost, so re-arm from the stored states AFTER a restart, also where
//     Next has passed.
//  5. When you wake, apply what [State.Due] returns for the STORED state. Never
//     take a slot from a column or compute one: a column with microseconds
//     rounds Next, and then no delivery ever matches it (R13). [AutoSlot] is for
//     a timer or a queue that carries the slot itself, to the nanosecond.
//
// # Time
//
// Instants are UTC with nanoseconds, from the year 1970 to 2200; a monotonic
// reading is ignored. Durations are exact: 24h is 86,400 s, and daylight saving
// moves nothing. Time may step back: by less than the guard it counts as
// within the guard, by more the rules apply to the new time, so that a card
// whose clock was once far ahead recovers at its next forced event (R20). Watch for
// a Next more than an interval ahead: no timer comes before it.
//
// # Concurrency
//
// All types are plain values and all functions are pure: use them from as many
// goroutines as you like. What needs a lock is your copy of a card's state
// between loading and storing it.
package rotation
