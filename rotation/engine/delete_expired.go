package engine

import "context"

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
