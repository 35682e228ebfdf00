package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// ForceRequest is a forced call. Its zero value rotates to a random service
// code, without an idempotency key.
type ForceRequest struct {
	ServiceCode servicecode.Code // zero: a new random one
	Compromised bool             // the previous CVV stops being accepted immediately, even within the grace period
	Key         string           // idempotency key of this card, printable ASCII; "": none
}

// Force rotates the card's CVV at once. The same key within KeyLifetime gives the
// same answer and rotates once.
//
// The error matches store.ErrNotFound, ErrForbidden, ErrInvalid or ErrKeyReused.
func (e *Engine) Force(ctx context.Context, ref Ref, req ForceRequest) (Rotation, error) {
	request := sha256.Sum256(fmt.Appendf(nil, "force %s %t", req.ServiceCode, req.Compromised))
	return e.once(ctx, ref, req.Key, request, func(change *store.Change) (outcome, error) {
		return e.apply(ctx, change, input{
			event: rotation.Forced(change.Now), code: req.ServiceCode, compromised: req.Compromised,
		})
	})
}

// Deliver rotates the card for a timer of the host's own that was armed for the
// slot. It serves hosts that do not use Run, or not only. The timer may fire late,
// twice, or after the schedule has moved: rules R11 to R14 decide. The zero slot is
// a timer that does not know its slot (R4 to R7): the host must then call Deliver
// once only.
//
// The error matches store.ErrNotFound, ErrForbidden or ErrInvalid.
func (e *Engine) Deliver(ctx context.Context, ref Ref, slot time.Time) (Rotation, error) {
	var result Rotation
	var out outcome
	effect, err := e.update(ctx, ref, "", func(change *store.Change) (err error) {
		due, event := slot, rotation.AutoSlot(change.Now, slot)
		if slot.IsZero() {
			due, event = change.Now, rotation.AutoUnslotted(change.Now)
		}
		out, err = e.apply(ctx, change, input{event: event})
		if err != nil {
			return err
		}
		out.Lateness = change.Now.Sub(due)
		result = rotationOf(change, out.Decision)
		return nil
	})
	if err != nil {
		return Rotation{}, err
	}
	result.Effect = effect
	e.committed(out)
	return result, nil
}

// Rotation is the result of a forced call, or of a timer. It holds no CVV.
type Rotation struct {
	Card        string
	At          time.Time // when it was decided
	Rotated     bool
	Rescheduled bool
	Rule        rotation.Rule
	Reason      rotation.Reason
	Scenario    int // 1, 2 or 3 where the guard held the schedule (R21), else 0
	Missed      int64
	Version     int64     // of the CVV that is now current
	Next        time.Time // the next automatic rotation; zero: none
	ServiceCode servicecode.Code
	Replayed    bool   // the answer is that of an earlier call with the same key
	Effect      Effect `json:"-"` // of this call; not kept under the key
}

// rotationOf returns the result of a decision, from the card as it now is.
func rotationOf(change *store.Change, d rotation.Decision) Rotation {
	return Rotation{
		Card: change.Card.ID, At: change.Now,
		Rotated: d.Rotate(), Rescheduled: d.Reschedule(),
		Rule: d.Rule, Reason: d.Reason(), Scenario: d.Scenario, Missed: d.Missed,
		Version: change.Card.Version, Next: change.Card.Next, ServiceCode: change.Card.ServiceCode,
	}
}
