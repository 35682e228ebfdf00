package engine

import (
	"context"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Effect is what an operation has found of a card and done to it, for an audit
// log. Where there is no such card it has At alone; its zero value is that none was
// looked at.
//
// An operation that fails tells what it found, and leaves Version and what
// follows zero: nothing was done, unless the outcome is unknown (store.Store).
type Effect struct {
	Account  string        // whose card it is
	At       time.Time     // when it was decided, by the store's time; zero for Reveal
	Before   int64         // the version found; 0: there was no card
	Version  int64         // the version afterwards
	Interval time.Duration // afterwards; 0: automatic rotation is off
	Changed  bool          // the card is another one than before
	Locked   bool          // this is what locked it
	Replayed bool          // the answer is that of an earlier call with the same idempotency key
}

// locked runs fn on a card under its lock, whether it is there or not.
func (e *Engine) locked(ctx context.Context, ref Ref, key string, fn func(*store.Change) error) error {
	var found, done Effect
	err := e.store.Update(ctx, ref.Card, key, func(tx *store.Change) (err error) {
		defer e.contain(ctx, ref.Card, &err)
		c := &tx.Card
		found = Effect{Account: c.Account, At: tx.Now, Before: c.Version}
		wasLocked := !c.Locked.IsZero()
		if err := fn(tx); err != nil {
			return err
		}
		done = Effect{
			Account: c.Account, At: tx.Now, Before: found.Before, Version: c.Version, Interval: c.Interval,
			Changed: tx.Write, Locked: !wasLocked && !c.Locked.IsZero(), Replayed: tx.Prior != nil,
		}
		return nil
	})
	if err != nil {
		done = found
	}
	ref.tell(done)
	return err
}

// tell puts the effect where it is wanted.
func (r Ref) tell(e Effect) {
	if r.Effect != nil {
		*r.Effect = e
	}
}
