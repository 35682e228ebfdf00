package engine

import (
	"context"
	"time"

	"cvvrotation/cvvgen"
	"cvvrotation/servicecode"
)

// Revealed is a card's current CVV.
type Revealed struct {
	CVV         cvvgen.CVV
	Version     int64
	ServiceCode servicecode.Code
	Rotated     time.Time // when it was made
	Next        time.Time // the next automatic rotation; zero: none
	Effect      Effect    // for the caller to record who asked
}

// Reveal returns the current CVV.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Reveal(ctx context.Context, ref Ref) (Revealed, error) {
	c, err := e.read(ctx, ref)
	if err != nil {
		return Revealed{}, err
	}
	effect := Effect{Account: c.Account, Before: c.Version}
	cvv, err := e.current(ctx, &c)
	if err != nil {
		return Revealed{}, operationError(effect, err)
	}
	effect.Version, effect.Interval = c.Version, c.Interval
	return Revealed{CVV: cvv, Version: c.Version, ServiceCode: c.ServiceCode, Rotated: c.Rotated, Next: c.Next, Effect: effect}, nil
}
