package engine

import (
	"context"
	"errors"
	"math"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
)

// The back-off of a card whose automatic rotation fails, and of a store that
// fails: from the first to the second, doubling.
const (
	firstBackoff = time.Second
	lastBackoff  = time.Hour
	storeBackoff = 30 * time.Second
)

// lastClaim is how long a claim that has begun may take after Run was told to
// end.
const lastClaim = 10 * time.Second

// Run claims due cards, oldest first, and rotates them, until ctx ends; a claim
// that has begun is finished first, if that takes no longer than 10 seconds. It sleeps until the next slot, but no longer
// than Poll, and is woken when one of this engine's operations sets an earlier
// one. Every Sweep it repairs, prunes and reports. It returns nil.
//
// Errors of the store are logged and tried again, with a back-off.
func (e *Engine) Run(ctx context.Context) error {
	done := make(chan struct{})
	for range e.options.Workers {
		go func() {
			e.work(ctx)
			done <- struct{}{}
		}()
	}
	e.sweeps(ctx)
	for range e.options.Workers {
		<-done
	}
	return nil
}

func (e *Engine) work(ctx context.Context) {
	claims, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		timer := e.clock.Timer(lastClaim)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-claims.Done():
		}
	})()
	failed := 0
	for ctx.Err() == nil {
		n, err := e.Tick(claims)
		if err == nil && failed > 0 {
			e.log.InfoContext(ctx, "claiming due cards works again", "failures", failed)
			failed = 0
		}
		var wait time.Duration
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil:
			failed++
			wait = backoff(failed, storeBackoff)
			e.log.ErrorContext(ctx, "claiming due cards failed; trying again", "in", wait, "error", err)
		case n > 0:
			continue
		default:
			wait = e.sleepFor(ctx)
		}
		e.sleep(ctx, wait)
	}
}

// sleepFor returns how long to sleep: until the next slot, at most Poll. A card
// that is due but could not be claimed is in another worker's hands. No sleep is
// shorter than a moment, so that cards due at nearly the same time share a claim.
func (e *Engine) sleepFor(ctx context.Context) time.Duration {
	const shortest = 20 * time.Millisecond
	e.asleep.Store(math.MaxInt64) // what is scheduled from here on, and not seen below, cuts the sleep short
	due, ok, err := e.store.NextDue(ctx)
	if err != nil || !ok {
		return e.options.Poll
	}
	now, err := e.store.Now(ctx)
	if err != nil {
		return e.options.Poll
	}
	wait := min(max(due.Sub(now), shortest), e.options.Poll)
	e.asleep.Store(now.Add(wait).UnixNano())
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
	e.asleep.Store(0)
}

// wakeFor wakes Run if it sleeps for longer than until the instant.
func (e *Engine) wakeFor(due time.Time) {
	until := e.asleep.Load()
	if due.IsZero() || until == 0 || due.UnixNano() >= until {
		return
	}
	select {
	case e.wake <- struct{}{}:
	default: // it has been woken
	}
}

// Tick claims up to Batch due cards once and rotates them. It returns how many
// it claimed. Run calls it; so may a host that would rather be called than run.
func (e *Engine) Tick(ctx context.Context) (int, error) {
	start := e.clock.Now()
	type claimed struct {
		card   string
		seen   Observation
		failed bool
	}
	var all []claimed
	n, err := e.store.Claim(ctx, e.options.Batch, func(tx *store.Change) error {
		seen, err := e.claim(ctx, tx)
		all = append(all, claimed{tx.Card.ID, seen, err != nil})
		return nil
	})
	if err != nil {
		return 0, err
	}
	all = all[len(all)-n:] // a store that had to try again has called once more for each
	for _, c := range all {
		if c.failed {
			e.observer.Failed()
		} else {
			e.observer.Decided(c.seen)
		}
	}
	if n > 0 {
		e.observer.Claimed(n, e.clock.Since(start))
		e.options.Written()
	}
	return n, nil
}

// claim rotates one card that is due. A failure is put into the card's record,
// with a later Due, so that the rest of the batch goes on.
func (e *Engine) claim(ctx context.Context, tx *store.Change) (seen Observation, err error) {
	before := tx.Card
	slot := tx.Slot
	if slot.IsZero() {
		slot = tx.Card.Next
	}
	defer func() {
		if err == nil {
			return
		}
		tx.Card, tx.Event, tx.Write = before, nil, true
		c := &tx.Card
		if c.Failures < math.MaxInt32 {
			c.Failures++
		}
		c.Failure = describe(err)
		c.Due = tx.Now.Add(backoff(c.Failures, lastBackoff))
		e.log.ErrorContext(ctx, "an automatic rotation failed; trying again", "card", c.ID, "failures", c.Failures, "at", c.Due, "error", c.Failure)
	}()
	defer e.contain(ctx, before.ID, &err)
	decision, err := e.apply(ctx, tx, change{event: rotation.AutoSlot(tx.Now, slot)})
	if err != nil {
		return Observation{}, err
	}
	return Observation{Kind: rotation.KindAuto, Decision: decision, Lateness: tx.Now.Sub(slot)}, nil
}

// backoff returns how long to wait after so many failures in a row.
func backoff(failures int, limit time.Duration) time.Duration {
	return min(firstBackoff<<min(failures-1, 20), limit)
}

func (e *Engine) sweeps(ctx context.Context) {
	for ctx.Err() == nil {
		if err := e.Sweep(ctx); err != nil && !errors.Is(err, context.Canceled) {
			e.log.ErrorContext(ctx, "the sweep failed; trying again at the next", "error", err)
		}
		timer := e.clock.Timer(e.options.Sweep)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}
