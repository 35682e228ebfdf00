package outbox

import (
	"context"
	"errors"
	"time"

	"cvvrotation/rotation/engine/store"
)

// session is a relay's work under one lease. One goroutine owns it; deliveries
// and acknowledgements run in others, and report to it through channels.
type session struct {
	*Relay
	lease            store.Lease
	deliveries       context.Context
	cancelDeliveries context.CancelFunc

	busy    map[string]bool   // cards with events in flight or not yet acknowledged
	retries map[string]*retry // cards whose next event has failed
	breaker breaker
	acks    acknowledgements

	inFlight int // batches
	finished chan batch
	more     bool      // the store may have events that can be delivered
	pollAt   time.Time // when to look for them anyway

	storeFailures int // in a row
	storeRetryAt  time.Time
}

// batch is a batch of events, before and after its delivery.
type batch struct {
	events   []store.Queued
	errs     []error
	accepted int64 // breaker.accepted when it began
	probe    bool  // to see whether the sink is up again
}

// serve delivers until ctx ends or the lease is lost.
func (r *Relay) serve(ctx context.Context, lease store.Lease) error {
	s := &session{
		Relay: r, lease: lease, busy: map[string]bool{}, retries: map[string]*retry{}, breaker: breaker{probed: map[string]bool{}},
		finished: make(chan batch, r.o.MaxInFlight), acks: acknowledgements{done: make(chan error, 1)}, more: true,
	}
	s.deliveries, s.cancelDeliveries = context.WithCancel(context.WithoutCancel(ctx))
	defer s.cancelDeliveries()
	s.acks.ctx, s.acks.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer s.acks.cancel()
	leased, stop := s.whileLeased(ctx, lease)
	defer stop()
	for {
		s.acknowledge(ctx)
		s.dispatch(leased)
		s.publishState()
		timer := s.o.Clock.Timer(s.wait())
		select {
		case b := <-s.finished:
			s.finish(ctx, b)
		case err := <-s.acks.done:
			s.acknowledged(ctx, err)
		case <-s.wake:
			s.more = true
		case <-s.retry:
			s.more, s.storeRetryAt = true, time.Time{}
		case <-timer.C: // a poll, or the end of a delay
			s.more = true
		case <-leased.Done():
			timer.Stop()
			return s.shutdown(ctx)
		}
		timer.Stop()
		for len(s.finished) > 0 {
			s.finish(ctx, <-s.finished)
		}
	}
}

// dispatch reads events and starts to deliver them, as far as the limits allow.
func (s *session) dispatch(ctx context.Context) {
	now := s.o.Clock.Now()
	if !now.Before(s.pollAt) {
		s.more, s.pollAt = true, now.Add(s.o.Poll)
	}
	if now.Before(s.breaker.pausedUntil) || now.Before(s.storeRetryAt) || s.storeFailures > 0 && s.acks.running != nil {
		return
	}
	excluded, blocked := s.excluded(now)
	for s.more && s.inFlight < s.o.MaxInFlight && blocked < s.o.MaxBlocked && len(s.acks.queued.outcomes) < s.o.MaxInFlight*s.o.Batch {
		limit := s.o.Batch
		if s.breaker.probing() {
			if limit = min(s.breaker.pauses, maxProbes, s.o.Batch); s.inFlight > 0 {
				return
			}
		}
		events, err := s.events.ListWaiting(ctx, limit, excluded)
		if err != nil {
			s.storeFailed(ctx, "reading events from the outbox failed; retrying", err)
			return
		}
		s.storeFailures = 0
		s.pollAt = now.Add(s.o.Poll)
		if len(events) == 0 && len(s.breaker.probed) > 0 { // all have probed: start over with the oldest
			clear(s.breaker.probed)
			excluded, blocked = s.excluded(now)
			continue
		}
		if s.more = len(events) == limit; len(events) == 0 {
			return
		}
		if !s.lease.Held() { // this process was paused; the lease is confirmed or lost soon
			s.more = true
			return
		}
		for _, e := range events {
			if !s.busy[e.Card] {
				s.busy[e.Card] = true
				excluded = append(excluded, e.Card)
			}
		}
		s.inFlight++
		b := batch{events: events, accepted: s.breaker.accepted, probe: s.breaker.probing()}
		go func() {
			b.errs = s.sink.Deliver(s.deliveries, b.events)
			s.finished <- b
		}()
	}
}

// wait returns how long the session can sleep if nothing happens.
func (s *session) wait() time.Duration {
	now, next := s.o.Clock.Now(), s.pollAt
	for _, r := range s.retries {
		if r.at.After(now) && r.at.Before(next) {
			next = r.at
		}
	}
	for _, pause := range []time.Time{s.breaker.pausedUntil, s.storeRetryAt} {
		if pause.After(next) {
			next = pause
		}
	}
	if len(s.acks.queued.cards) > 0 && s.acks.running == nil && s.storeRetryAt.Before(next) {
		next = s.storeRetryAt // acknowledgements do not wait for a sink that is down
	}
	return max(next.Sub(now), 1)
}

// finish decides what becomes of each event of a batch, and queues the outcomes
// for acknowledgement.
func (s *session) finish(ctx context.Context, b batch) {
	s.inFlight--
	for len(b.errs) < len(b.events) {
		b.errs = append(b.errs, errors.New("the sink returned no result for the event"))
	}
	accepted := 0
	for i := range b.events {
		if b.errs[i] == nil {
			accepted++
		}
	}
	s.breaker.accept(accepted)
	acceptedNothing := b.accepted == s.breaker.accepted
	now := s.o.Clock.Now()
	var unavailable, other error
	stopped := map[string]bool{} // cards with a failed event that will be retried
	for i, e := range b.events {
		s.acks.queued.cards = append(s.acks.queued.cards, e.Card)
		err := b.errs[i]
		r := result{Outcome{Event: e, Err: err, Lag: max(now.Sub(e.At), 0)}, true}
		switch {
		case stopped[e.Card]:
			continue // whatever the sink returned: it comes after an event that failed
		case err == nil:
			r.Status = store.StatusDelivered
			delete(s.retries, e.Card)
		case s.deliveries.Err() != nil || errors.Is(err, ErrNotTried):
			stopped[e.Card] = true
			continue
		case errors.Is(err, ErrUnavailable):
			stopped[e.Card] = true
			unavailable, r.record = err, false
			if b.probe {
				s.probeFailed(&r, b.accepted, now)
			}
		default:
			stopped[e.Card] = true
			other = err
			if b.probe {
				s.probeFailed(&r, b.accepted, now)
			} else {
				s.retryLater(&r, b.accepted, now)
			}
		}
		s.acks.queued.outcomes = append(s.acks.queued.outcomes, r)
	}
	s.judge(ctx, now, unavailable, other, acceptedNothing)
}

// probeFailed makes another card probe next, because it may be this event's fault. The
// breaker's pause limits the rate of probes, so the event has no delay of its own unless
// its failure was counted.
func (s *session) probeFailed(r *result, accepted int64, now time.Time) {
	s.breaker.probed[r.Event.Card] = true
	if s.retryLater(r, accepted, now); !r.record {
		s.retries[r.Event.Card].at = now
	}
}

// storeFailed delays the next call of the store, and logs the failure.
func (s *session) storeFailed(ctx context.Context, message string, err error) {
	if ctx.Err() != nil {
		return
	}
	s.storeFailures++
	s.storeRetryAt = s.o.Clock.Now().Add(s.o.backoff(s.storeFailures, s.o.MaxPause))
	s.o.Logger.WarnContext(ctx, message, "error", err)
}

func (s *session) publishState() {
	b := &s.breaker
	state := State{HasLease: true, InFlight: s.inFlight, Blocked: len(s.retries), Down: b.down, Failure: b.failure}
	if state != s.State() {
		s.state.Store(&state)
	}
}
