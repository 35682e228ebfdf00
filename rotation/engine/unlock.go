package engine

import (
	"context"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Unlock unlocks a card that too many failed attempts locked, and resets their
// count.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Unlock(ctx context.Context, ref Ref) (Effect, error) {
	return e.update(ctx, ref, "", func(change *store.Change) error {
		c := &change.Card
		change.Write = c.Tries != 0 || !c.Locked.IsZero()
		c.Tries, c.Locked = 0, time.Time{}
		return nil
	})
}
