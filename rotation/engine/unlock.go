package engine

import (
	"context"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Unlock unlocks a card that too many failed attempts in a row locked, and resets
// their count. Those of the last 24 hours still count for MaxDailyTries.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Unlock(ctx context.Context, ref Ref) (Effect, error) {
	effect, err := e.update(ctx, ref, "", func(change *store.Change) error {
		c := &change.Card
		change.Write = c.Tries != 0 || !c.Locked.IsZero()
		c.Tries, c.Locked = 0, time.Time{}
		return nil
	})
	if err == nil && effect.Changed {
		e.observer.Unlocked()
	}
	return effect, err
}
