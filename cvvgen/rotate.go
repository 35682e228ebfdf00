package cvvgen

import (
	"context"
	"errors"
	"fmt"

	"cvvrotation/servicecode"
)

// ErrStuck is the error for a [Deriver] that keeps returning the same CVV for
// different service codes, such as a simulator of an HSM.
var ErrStuck = errors.New("cvvgen: the deriver returns one CVV, whatever the service code")

// maxDraws bounds the draws of a rotation. By chance one draw in 1,000 gives the
// current CVV again, so that this many in a row mean a broken Deriver.
const maxDraws = 16

// Rotation holds the outcome of a rotation: what to store and what to show.
type Rotation struct {
	// ServiceCode is the new code. It is no secret; together with the card and
	// the key it gives the CVV, and is all that needs storing.
	ServiceCode servicecode.Code
	// CVV is the new value.
	CVV CVV
	// SameCVV reports that CVV equals the previous one. Only RotateTo sets it.
	SameCVV bool
}

// Rotate draws a new service code for which the card has another CVV than for
// the current one. It draws with crypto/rand, uniformly from the codes except
// 000, 999, the current one and those with the current CVV. The zero Code as
// current, for a card that has none yet, excludes nothing.
//
// Errors are those of the Deriver, wrapped, [ErrStuck], and [ErrMissing] if the
// Deriver returns no CVV.
func Rotate(ctx context.Context, d Deriver, card Card, current servicecode.Code) (Rotation, error) {
	before, err := deriveCurrent(ctx, d, card, current)
	if err != nil {
		return Rotation{}, err
	}
	for range maxDraws {
		next := servicecode.RandomForCVV(current)
		after, err := derive(ctx, d, card, next)
		if err != nil {
			return Rotation{}, fmt.Errorf("deriving the new CVV: %w", err)
		}
		if !after.Equal(before) {
			return Rotation{ServiceCode: next, CVV: after}, nil
		}
	}
	return Rotation{}, ErrStuck
}

// RotateTo is [Rotate] with a service code of the caller's choice instead of a
// random one. The CVV may then equal the previous one, by chance once in 1,000 times
// with three digits, and always if next is current: SameCVV reports it. Any code is
// accepted; with 000 and 999 the CVV is also the card's CVV2 or iCVV.
//
// Errors are those of the Deriver, wrapped, and [ErrMissing].
func RotateTo(ctx context.Context, d Deriver, card Card, current, next servicecode.Code) (Rotation, error) {
	before, err := deriveCurrent(ctx, d, card, current)
	if err != nil {
		return Rotation{}, err
	}
	after, err := derive(ctx, d, card, next)
	if err != nil {
		return Rotation{}, fmt.Errorf("deriving the new CVV: %w", err)
	}
	return Rotation{ServiceCode: next, CVV: after, SameCVV: after.Equal(before)}, nil
}

// Verify reports whether presented is the CVV of the card for the service code,
// comparing in constant time. Errors are those of the Deriver, wrapped, and
// [ErrMissing]. The zero CVV as presented is such an error: a missing CVV is not a
// wrong one.
func Verify(ctx context.Context, d Deriver, card Card, code servicecode.Code, presented CVV) (bool, error) {
	if !presented.IsValid() {
		return false, fmt.Errorf("%w: presented CVV", ErrMissing)
	}
	want, err := derive(ctx, d, card, code)
	if err != nil {
		return false, fmt.Errorf("deriving the CVV to verify: %w", err)
	}
	return want.Matches(presented), nil
}

// deriveCurrent returns no CVV for no code.
func deriveCurrent(ctx context.Context, d Deriver, card Card, current servicecode.Code) (CVV, error) {
	if !current.IsValid() {
		return CVV{}, nil
	}
	c, err := derive(ctx, d, card, current)
	if err != nil {
		return CVV{}, fmt.Errorf("deriving the current CVV: %w", err)
	}
	return c, nil
}

// derive refuses an absent CVV from a Deriver, lest two of them pass for equal.
func derive(ctx context.Context, d Deriver, card Card, code servicecode.Code) (CVV, error) {
	c, err := d.Derive(ctx, card, code)
	if err != nil {
		return CVV{}, err
	}
	if !c.IsValid() {
		return CVV{}, fmt.Errorf("%w: CVV from the deriver", ErrMissing)
	}
	return c, nil
}
