package outbox

import (
	"context"
	"fmt"
	"time"
)

// shutdown waits for the batches in flight, cancels them after Grace, and
// acknowledges them.
func (s *session) shutdown(ctx context.Context) error {
	ctx, cancel := s.o.Clock.WithTimeout(context.WithoutCancel(ctx), 2*s.o.Grace)
	defer cancel()
	context.AfterFunc(ctx, s.acks.cancel)
	grace := s.o.Clock.Timer(s.o.Grace)
	defer grace.Stop()
	for s.inFlight > 0 {
		select {
		case b := <-s.finished:
			s.finish(ctx, b)
			s.acknowledge(ctx)
		case err := <-s.acks.done:
			s.acknowledged(ctx, err)
		case <-grace.C:
			s.cancelDeliveries()
		}
	}
	for tries := 0; ; tries++ {
		if s.acks.running != nil {
			s.acknowledged(ctx, <-s.acks.done)
		}
		switch {
		case len(s.acks.queued.cards) == 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("outbox: %d deliveries could not be acknowledged and will be repeated", len(s.acks.queued.outcomes))
		case tries > 0:
			s.sleep(ctx, s.o.backoff(tries, s.o.MaxPause))
		}
		s.storeRetryAt = time.Time{}
		s.acknowledge(ctx)
	}
}
