package engine

import (
	"context"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// RegisterRequest is what a card is registered with. Its zero value registers a
// card with a random CVV and no automatic rotation.
type RegisterRequest struct {
	Particulars cvvgen.Card      // PAN and expiry where CVVs are derived; zero where they are random
	ServiceCode servicecode.Code // of the first CVV; zero: random
	Schedule    IntervalRequest  // zero: no automatic rotation
	// KeepSchedule is for callers that may not reschedule a card that is registered
	// already: Register returns ErrScheduleKept if Schedule would change its schedule.
	KeepSchedule bool
}

// Register adds a card and gives it its first CVV, version 1. It does not accept
// AnyAccount: a new card needs an account. Registering a card again changes
// nothing but its interval, if another one is given (see [Engine.SetInterval]), and
// reports created as false.
//
// The error matches ErrInvalid, also for a PAN that the account may not register
// (see DerivedOptions), ErrForbidden for a card of another account,
// ErrRegistered when the particulars differ, store.ErrFingerprint when another card
// has the same PAN and expiry, ErrScheduleKept, or is a *rotation.EventError.
func (e *Engine) Register(ctx context.Context, ref Ref, req RegisterRequest) (s Schedule, created bool, err error) {
	ref.anyAccount = false
	var out *outcome
	effect, err := e.updateOrCreate(ctx, ref, "", func(change *store.Change) error {
		c := &change.Card
		created, out = c.Version == 0, nil
		if err := e.create(ctx, change, ref, req); err != nil {
			return err
		}
		if req.Schedule != (IntervalRequest{}) {
			o, err := e.setInterval(ctx, change, req.Schedule, req.KeepSchedule && !created)
			if err != nil {
				return err
			}
			out = &o
		}
		change.Write = change.Write || created
		var err error
		s, err = e.schedule(c, change.Now, 1)
		return err
	})
	if err != nil {
		return Schedule{}, false, err
	}
	s.Effect = effect
	if out != nil {
		e.committed(*out)
	}
	return s, created, nil
}

// create makes a card that is not registered, and checks the request against one
// that is.
func (e *Engine) create(ctx context.Context, change *store.Change, ref Ref, req RegisterRequest) error {
	c := &change.Card
	if c.Version == 0 {
		*c = store.Card{ID: ref.Card, Account: ref.Account, Version: 1, Created: change.Now, Rotated: change.Now}
		if err := e.generator.Identify(c, req.Particulars); err != nil {
			return err
		}
		var err error
		if change.Fingerprints, err = e.generator.Fingerprints(c); err != nil {
			return err
		}
		return e.generator.Draw(ctx, c, req.ServiceCode, nil)
	}
	if err := ref.checkOwner(c); err != nil {
		return err
	}
	same, err := e.generator.SameIdentity(c, req.Particulars)
	if err == nil && !same {
		err = ErrRegistered
	}
	return err
}
