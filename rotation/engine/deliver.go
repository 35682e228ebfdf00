package engine

import (
	"context"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
)

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
