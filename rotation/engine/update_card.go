package engine

import (
	"context"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Effect reports, for auditing, the state that an operation found and what it
// changed. If the card does not exist, only At is set.
//
// An operation that fails reports what it found in an [OperationError], and leaves
// Version and the fields below it zero: it changed nothing, unless the outcome is
// unknown (see store.Store).
type Effect struct {
	Account  string        // of the card
	At       time.Time     // when it was decided, by the store's time; zero for Reveal
	Before   int64         // the version found; 0: there was no card
	Version  int64         // the version afterwards
	Interval time.Duration // afterwards; 0: automatic rotation is off
	Changed  bool          // the card was changed
	Locked   bool          // this operation locked the card
	// Throttled: a CVV was not compared, because of too many failed attempts within 24
	// hours.
	Throttled bool
	// Compromised: the CVV that was replaced had been reported compromised.
	Compromised bool
	Replayed    bool // the answer is that of an earlier call with the same idempotency key
}

// update runs fn on a card that ref may use, under the card's lock, and reports
// the effect. Every change of a card but a claim's goes through here.
func (e *Engine) update(ctx context.Context, ref Ref, key string, fn func(*store.Change) error) (Effect, error) {
	return e.updateOrCreate(ctx, ref, key, func(change *store.Change) error {
		if err := ref.checkOwner(&change.Card); err != nil {
			return err
		}
		return fn(change)
	})
}

// updateOrCreate is update for a card that need not exist, or be ref's.
func (e *Engine) updateOrCreate(ctx context.Context, ref Ref, key string, fn func(*store.Change) error) (Effect, error) {
	if err := ref.check(); err != nil {
		return Effect{}, err
	}
	var found, done Effect
	err := e.updater.Update(ctx, ref.Card, key, func(change *store.Change) (err error) {
		defer e.recovered(ctx, ref.Card, &err)
		c := &change.Card
		found = Effect{Account: c.Account, At: change.Now, Before: c.Version}
		wasLocked := !c.Locked.IsZero()
		if err := fn(change); err != nil {
			return err
		}
		done = Effect{
			Account: c.Account, At: change.Now, Before: found.Before, Version: c.Version, Interval: c.Interval,
			Changed: change.Write, Locked: !wasLocked && !c.Locked.IsZero(), Replayed: change.Prior != nil,
		}
		return nil
	})
	if err != nil {
		return Effect{}, operationError(found, err)
	}
	return done, nil
}

// read returns a card that ref may use.
func (e *Engine) read(ctx context.Context, ref Ref) (store.Card, error) {
	if err := ref.check(); err != nil {
		return store.Card{}, err
	}
	c, err := e.store.Card(ctx, ref.Card)
	if err != nil {
		return store.Card{}, err
	}
	if err := ref.checkOwner(&c); err != nil {
		return store.Card{}, operationError(Effect{Account: c.Account, Before: c.Version}, err)
	}
	return c, nil
}
