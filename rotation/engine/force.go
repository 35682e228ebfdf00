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

// Force rotates the card's CVV at once. The same key within KeyLifetime gives the
// same answer and rotates once.
//
// The error matches store.ErrNotFound, ErrForbidden, ErrInvalid or ErrKeyReused.
func (e *Engine) Force(ctx context.Context, ref Ref, req ForceRequest) (Rotation, error) {
	if err := checkKey(req.Key); err != nil {
		return Rotation{}, err
	}
	request := sha256.Sum256(fmt.Appendf(nil, "force %s %t", req.ServiceCode, req.Compromised))
	var result Rotation
	var out outcome
	effect, err := e.update(ctx, ref, req.Key, func(change *store.Change) (err error) {
		if change.Prior != nil {
			result, err = replay(change.Prior, request)
			return err
		}
		out, err = e.apply(ctx, change, input{
			event: rotation.Forced(change.Now), code: req.ServiceCode, compromised: req.Compromised,
		})
		if err != nil {
			return err
		}
		result = rotationOf(change, out.Decision)
		if req.Key != "" {
			change.Answer, err = keep(result, request, change.Now)
		}
		return err
	})
	if err != nil {
		return Rotation{}, err
	}
	result.Effect = effect
	if !result.Replayed {
		e.committed(out)
	}
	return result, nil
}

func rotationOf(change *store.Change, d rotation.Decision) Rotation {
	return Rotation{
		Card: change.Card.ID, At: change.Now,
		Rotated: d.Rotate(), Rescheduled: d.Reschedule(),
		Rule: d.Rule, Reason: d.Reason(), Scenario: d.Scenario, Missed: d.Missed,
		Version: change.Card.Version, Next: change.Card.Next, ServiceCode: change.Card.ServiceCode,
	}
}
