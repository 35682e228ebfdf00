package outbox

import (
	"context"
	"errors"

	"cvvrotation/rotation/engine/store"
)

// acquireLease waits until this relay holds the outbox lease. It returns nil if
// ctx has ended.
func (r *Relay) acquireLease(ctx context.Context) store.Lease {
	for failures := 0; ctx.Err() == nil; {
		lease, err := r.events.AcquireLease(ctx)
		if err == nil {
			return lease
		}
		wait := r.o.LeaseRetry
		if !errors.Is(err, store.ErrLeaseHeld) && ctx.Err() == nil {
			failures++
			wait = r.o.backoff(failures, wait)
			r.o.Logger.WarnContext(ctx, "acquiring the outbox lease failed; retrying", "error", err)
		}
		r.sleep(ctx, wait)
	}
	return nil
}

// whileLeased returns a context that ends when the lease is lost, which also cancels
// the deliveries in flight. It watches in a goroutine of its own, because a call
// of the store may block the session.
func (s *session) whileLeased(ctx context.Context, lease store.Lease) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	go func() {
		select {
		case <-lease.Lost():
			s.cancelDeliveries()
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}
