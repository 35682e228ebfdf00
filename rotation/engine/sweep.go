package engine

import (
	"context"
	"errors"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
)

// sweepPage is the number of rows that a sweep, and Reseal, handle at a time.
const sweepPage = 1000

// Sweep repairs cards whose next slot is more than one interval ahead, which a
// clock step leaves behind, and deletes expired answers and old events. Run calls
// it.
func (e *Engine) Sweep(ctx context.Context) error {
	return errors.Join(e.repairTooFarAhead(ctx), e.deleteExpired(ctx))
}

func (e *Engine) sweepRegularly(ctx context.Context) {
	for ctx.Err() == nil {
		if err := e.Sweep(ctx); err != nil && !errors.Is(err, context.Canceled) {
			e.log.ErrorContext(ctx, "sweep failed; retrying at the next sweep", "error", err)
		}
		timer := e.clock.Timer(e.options.Sweep)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// deleteExpired deletes answers whose idempotency key has expired, and events that
// were delivered longer ago than KeepFor.
func (e *Engine) deleteExpired(ctx context.Context) error {
	now, err := e.store.Now(ctx)
	if err != nil {
		return err
	}
	for {
		n, err := e.store.DeleteExpired(ctx, now.Add(-e.options.KeepFor), sweepPage)
		if err != nil || n == 0 {
			return err
		}
	}
}

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
