package engine

import (
	"context"
	"errors"
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
