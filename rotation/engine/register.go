package engine

import (
	"context"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// Registration is what a card is registered with. Its zero value registers a
// card with a random CVV and no automatic rotation.
type Registration struct {
	Particulars cvvgen.Card      // PAN and expiry where CVVs are derived; zero where they are random
	ServiceCode servicecode.Code // of the first CVV; zero: random
	Schedule    IntervalRequest  // zero: no automatic rotation
}

// Register makes a card known and gives it its first CVV, version 1. ref.Account
// must be set. Registering a card again changes nothing but its interval,
// if one is given, and reports created as false.
//
// The error matches ErrInvalid, ErrForbidden for a card of another account,
// ErrRegistered when the particulars differ, or is a *rotation.EventError.
func (e *Engine) Register(ctx context.Context, ref Ref, reg Registration) (s Schedule, created bool, err error) {
	if err := checkRef(ref); err != nil {
		return Schedule{}, false, err
	}
	if ref.Account == "" {
		return Schedule{}, false, &FieldError{"account", "is required"}
	}
	var wrote bool
	var card store.Card
	var seen *Observation
	err = e.locked(ctx, ref, "", func(tx *store.Change) error {
		c := &tx.Card
		created = c.Version == 0
		if created {
			*c = store.Card{ID: ref.Card, Account: ref.Account, Version: 1, Created: tx.Now, Rotated: tx.Now}
			if err := e.generator.Identify(c, reg.Particulars); err != nil {
				return err
			}
			if err := e.generator.Draw(ctx, c, reg.ServiceCode); err != nil {
				return err
			}
		} else {
			if err := owned(c, ref); err != nil {
				return err
			}
			same, err := e.generator.SameIdentity(c, reg.Particulars)
			if err != nil {
				return err
			}
			if !same {
				return ErrRegistered
			}
		}
		seen = nil
		if reg.Schedule != (IntervalRequest{}) {
			ev, err := reg.Schedule.event(ref.Card, tx.Now)
			if err != nil {
				return err
			}
			decision, err := e.apply(ctx, tx, change{event: ev})
			if err != nil {
				return err
			}
			seen = &Observation{Kind: ev.Kind(), Decision: decision}
		}
		tx.Write = tx.Write || created
		wrote, card = tx.Event != nil, *c
		var err error
		s, err = e.schedule(c, tx.Now, 1)
		return err
	})
	if err != nil {
		return Schedule{}, false, err
	}
	if seen != nil {
		e.done(*seen, &card, wrote)
	}
	return s, created, nil
}

// Revealed is a card's current CVV.
type Revealed struct {
	CVV         cvvgen.CVV
	Version     int64
	ServiceCode servicecode.Code
	Rotated     time.Time // when it was made
	Next        time.Time // the next automatic rotation; zero: none
}

// Reveal returns the current CVV. Who asked for it is the caller's to record: see
// Ref.Effect.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Reveal(ctx context.Context, ref Ref) (Revealed, error) {
	c, err := e.read(ctx, ref)
	found := Effect{Account: c.Account, Before: c.Version}
	ref.tell(found)
	if err != nil {
		return Revealed{}, err
	}
	cvv, err := e.open(ctx, &c)
	if err != nil {
		return Revealed{}, err
	}
	found.Version, found.Interval = c.Version, c.Interval
	ref.tell(found)
	return Revealed{CVV: cvv, Version: c.Version, ServiceCode: c.ServiceCode, Rotated: c.Rotated, Next: c.Next}, nil
}

// Verify says what a CVV that somebody presents is worth. Wrong and Expired ones
// count as tries; MaxTries of them, however often the CVV rotates in between,
// lock the card until Unlock. The current CVV sets the count back. Values are
// compared in constant time.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid; nothing is
// counted then.
func (e *Engine) Verify(ctx context.Context, ref Ref, presented cvvgen.CVV) (Verdict, error) {
	if !presented.IsValid() {
		return 0, &FieldError{"cvv", "is required: 3 to 5 digits"}
	}
	var verdict Verdict
	err := e.update(ctx, ref, "", func(tx *store.Change) error {
		c := &tx.Card
		if !c.Locked.IsZero() {
			verdict = Locked
			return nil
		}
		current, err := e.generator.Open(ctx, c, false)
		if err != nil {
			return err
		}
		previous, err := e.generator.Open(ctx, c, true)
		if unreadable(err) {
			err = nil // an old value that nobody can read is worth nothing
		}
		if err != nil {
			return err
		}
		verdict = judge(current.Matches(presented), previous.Matches(presented), tx.Now.Before(c.PreviousUntil))
		tries := c.Tries
		switch verdict {
		case Current:
			c.Tries = 0
		case Expired, Wrong:
			c.Tries++
			if c.Tries >= e.options.MaxTries {
				c.Locked = tx.Now
			}
		}
		tx.Write = c.Tries != tries
		return nil
	})
	if err != nil {
		return 0, err
	}
	e.observer.Verified(verdict)
	return verdict, nil
}

func judge(current, previous, grace bool) Verdict {
	switch {
	case current:
		return Current
	case previous && grace:
		return Previous
	case previous:
		return Expired
	}
	return Wrong
}

// Unlock lifts the lock that too many tries have set, and forgets the tries.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Unlock(ctx context.Context, ref Ref) error {
	return e.update(ctx, ref, "", func(tx *store.Change) error {
		tx.Write = tx.Card.Tries != 0 || !tx.Card.Locked.IsZero()
		tx.Card.Tries, tx.Card.Locked = 0, time.Time{}
		return nil
	})
}
