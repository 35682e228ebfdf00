package engine

import (
	"context"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
)

func (e *Engine) repairTooFarAhead(ctx context.Context) error {
	after := ""
	for {
		ids, err := e.store.IDsTooFarAhead(ctx, after, sweepPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := e.repair(ctx, id); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				e.log.ErrorContext(ctx, "repairing a next rotation more than one interval ahead failed; retrying at the next sweep", "card", id, "error", err)
			}
		}
		after = ids[len(ids)-1]
	}
}

// repair moves the card's next slot along its phase to within one interval.
func (e *Engine) repair(ctx context.Context, id string) error {
	var out *outcome
	var was time.Time
	_, err := e.update(ctx, AnyAccount(id), "", func(change *store.Change) error {
		out = nil
		state, err := decodeState(&change.Card)
		if err != nil {
			return err
		}
		next, ok := state.Next()
		ahead := next.Sub(change.Now)
		if !ok || ahead <= state.Interval() {
			return nil
		}
		first := change.Now.Add((ahead-1)%state.Interval() + 1) // in (now, now + interval]
		o, err := e.apply(ctx, change, input{
			event: rotation.SetIntervalFirst(change.Now, state.Interval(), first), repaired: true,
		})
		out, was = &o, next
		return err
	})
	if err != nil || out == nil {
		return err
	}
	e.log.WarnContext(ctx, "repaired a next rotation more than one interval ahead (clock step)", "card", id, "was", was, "is", out.due)
	e.observer.Repaired()
	e.committed(*out)
	return nil
}
