package engine

import (
	"context"
	"math"
	"time"

	"cvvrotation/rotation/internal/backoff"
)

// The back-off of a card whose automatic rotation fails, and of Run while the
// store fails, doubles from 1 second to a maximum. That of the store is short, because
// all cards wait for it.
const (
	maxCardBackoff  = time.Hour
	maxStoreBackoff = 5 * time.Second
)

// claimTimeout is how long a claim that has begun may take after Run was told to
// stop.
const claimTimeout = 10 * time.Second

// Run claims due cards, oldest first, and rotates them, until ctx ends. It then
// finishes the claims that have begun, for up to 10 seconds. Between claims it
// sleeps until the next slot, for up to Poll, and an operation of this engine that
// sets an earlier slot wakes it. It calls Sweep at the start and at every interval
// of that name. It returns nil.
//
// When the store fails, Run logs the error and retries with back-off, after 5 seconds
// at the latest. RetryNow ends the back-off.
func (e *Engine) Run(ctx context.Context) error {
	done := make(chan struct{})
	for range e.options.Workers {
		go func() {
			e.work(ctx)
			done <- struct{}{}
		}()
	}
	e.sweepRegularly(ctx)
	for range e.options.Workers {
		<-done
	}
	return nil
}

func (e *Engine) work(ctx context.Context) {
	claims, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		timer := e.clock.Timer(claimTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-claims.Done():
		}
	})()
	failures := 0
	for ctx.Err() == nil {
		n, err := e.Tick(claims)
		if err == nil && failures > 0 {
			e.log.InfoContext(ctx, "claiming due cards works again", "failures", failures)
			failures = 0
		}
		var wait time.Duration
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil:
			failures++
			wait = backoff.Jitter(backoff.After(failures, maxStoreBackoff))
			e.log.ErrorContext(ctx, "claiming due cards failed; retrying with back-off", "in", wait, "error", err)
		case n > 0:
			continue
		default:
			wait = e.sleepFor(ctx)
		}
		e.sleep(ctx, wait)
	}
}

// NextDue returns when the earliest card is due by the store's time, and whether one
// is. It may be in the past. A host that has a loop of its own sleeps until then and
// calls Tick.
func (e *Engine) NextDue(ctx context.Context) (due time.Time, ok bool, err error) {
	return e.store.NextDue(ctx)
}

// Now returns the store's time.
func (e *Engine) Now(ctx context.Context) (time.Time, error) { return e.store.Now(ctx) }

// sleepFor returns how long to sleep: until the next slot, up to Poll. A card that
// is due and was not claimed is another worker's. No sleep is shorter than a
// moment, so that cards due at nearly the same time share a claim.
func (e *Engine) sleepFor(ctx context.Context) time.Duration {
	const shortest = 20 * time.Millisecond
	e.asleepUntil.Store(math.MaxInt64) // what is scheduled from here on, and not seen below, ends the sleep
	due, ok, err := e.store.NextDue(ctx)
	if err != nil || !ok {
		return e.options.Poll
	}
	now, err := e.store.Now(ctx)
	if err != nil {
		return e.options.Poll
	}
	wait := min(max(due.Sub(now), shortest), e.options.Poll)
	e.asleepUntil.Store(now.Add(wait).UnixNano())
	return wait
}

func (e *Engine) sleep(ctx context.Context, d time.Duration) {
	timer := e.clock.Timer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-e.wake:
	}
	e.asleepUntil.Store(0)
}

// wakeFor wakes Run if it would sleep beyond the instant.
func (e *Engine) wakeFor(due time.Time) {
	until := e.asleepUntil.Load()
	if due.IsZero() || until == 0 || due.UnixNano() >= until {
		return
	}
	e.wakeWorkers(1)
}

// RetryNow makes Run claim immediately, for example while it waits after a failure of
// the store. Call it when the store is available again. It never blocks.
func (e *Engine) RetryNow() { e.wakeWorkers(e.options.Workers) }

// wakeWorkers wakes up to n workers that sleep.
func (e *Engine) wakeWorkers(n int) {
	for range n {
		select {
		case e.wake <- struct{}{}:
		default: // all have been woken
			return
		}
	}
}
