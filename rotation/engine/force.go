package engine

import (
	"context"
	"crypto/sha256"
	"fmt"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/servicecode"
)

// ForceRequest is a forced call. Its zero value rotates to a random service
// code, without an idempotency key.
type ForceRequest struct {
	ServiceCode servicecode.Code // zero: a new random one
	Compromised bool             // the replaced CVV stops being accepted immediately, even within the grace period, and does not come back
	Key         string           // idempotency key of this card, printable ASCII; "": none
}

// Force rotates the card's CVV at once. The same key within KeyLifetime gives the
// same answer and rotates once.
//
// The error matches store.ErrNotFound, ErrForbidden, ErrInvalid or ErrKeyReused.
func (e *Engine) Force(ctx context.Context, ref Ref, req ForceRequest) (Rotation, error) {
	request := sha256.Sum256(fmt.Appendf(nil, "force %s %t", req.ServiceCode, req.Compromised))
	r, err := e.once(ctx, ref, req.Key, request, func(change *store.Change) (outcome, error) {
		return e.apply(ctx, change, input{
			event: rotation.Forced(change.Now), code: req.ServiceCode, compromised: req.Compromised,
		})
	})
	r.Effect.Compromised = req.Compromised && r.Effect.Changed
	return r, err
}
