// Package enginetest moves the time of an engine in tests of a service, in either of
// two ways.
//
// With a mocked clock, [Advance] stops at each instant at which a card is due. Moving
// the clock in one jump is another test: every card is then late, rotates once, and
// counts the slots that it missed.
//
// With testing/synctest, Run needs no help, on a store in memory with the default
// clocks: inside the bubble time.Sleep(72 * time.Hour) lets it rotate at each slot. A
// longer engine.Options.Poll saves it most of its 86,400 polls a day.
package enginetest

import (
	"context"
	"errors"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine"
)

// Advance moves the clock forward by d, and stops at each instant at which cards are
// due, to rotate them. It needs no Run, and does no harm beside one; the engine's other
// periodic work, such as sweeps, is Run's. The clock must be that of the store, such as
// memory.Options.Clock, and no other goroutine may move it meanwhile.
//
// It returns an error if the clock is not the store's, d is negative, the store fails
// or ctx ends. Cards that fail are retried with back-off, as by Run.
func Advance(ctx context.Context, e *engine.Engine, mock *clock.Mock, d time.Duration) error {
	end := mock.Now().Add(d)
	for {
		now, err := e.Now(ctx)
		switch {
		case err != nil:
			return err
		case d < 0:
			return errors.New("enginetest: the clock must not move backwards: call its Set")
		case !now.Equal(mock.Now()):
			return errors.New("enginetest: the clock is not the store's: open the store with it")
		}
		due, ok, err := e.NextDue(ctx)
		if err != nil {
			return err
		}
		if !ok || due.After(end) {
			mock.Set(end)
			return nil
		}
		if due.After(now) {
			mock.Set(due)
		}
		if _, err := e.Tick(ctx); err != nil {
			return err
		}
	}
}
