// Package timerstest moves a mock clock for tests of services that use package
// timers. In a testing/synctest bubble it is not needed: there, use clock.New and
// time.Sleep.
package timerstest

import (
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/timers/internal/mocks"
)

// Advance moves the clock ahead by d, from slot to slot: at each instant for which a
// card is armed it waits until the callbacks of all due cards have returned. It does
// so for all timers.Timers on this clock that have not been stopped, whether or not
// Run is running; the callbacks may run in the calling goroutine. mock.Add would
// move on while they run. Advance panics if there are no such timers. A negative d
// steps the clock back.
func Advance(mock *clock.Mock, d time.Duration) {
	for end := mock.Now().Add(d); ; {
		next, armed := settle(mock)
		switch {
		case armed && !next.After(end):
			mock.Set(next)
		case mock.Now().Equal(end):
			return
		default:
			mock.Set(end)
		}
	}
}

// settle waits until no card of any timers on the clock is due and no callback is
// running. It returns the earliest instant for which a card is armed.
func settle(mock *clock.Mock) (earliest time.Time, armed bool) {
	all := mocks.Of(mock)
	if len(all) == 0 {
		panic("timerstest: no timers run on this clock; make them with timers.New before Advance")
	}
	for before, callbacks := -1, 0; before != callbacks; { // a callback may arm a card of other timers
		before, callbacks, armed = callbacks, 0, false
		for _, t := range all {
			next, ok, n := t.Settle()
			callbacks += n
			if ok && (!armed || next.Before(earliest)) {
				earliest, armed = next, true
			}
		}
	}
	return earliest, armed
}
