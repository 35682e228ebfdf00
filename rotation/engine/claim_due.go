package engine

import (
	"context"
	"math"
	"strings"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/backoff"
)

// Tick claims up to Batch due cards once and rotates them. It returns how many it
// claimed. Run calls it; so may a host that has a loop of its own.
func (e *Engine) Tick(ctx context.Context) (int, error) {
	start := e.clock.Now()
	type claimed struct {
		seen   Observation
		failed bool
	}
	var all []claimed
	n, err := e.store.Claim(ctx, e.options.Batch, func(change *store.Change) error {
		seen, err := e.claim(ctx, change)
		all = append(all, claimed{seen, err != nil})
		return nil
	})
	if err != nil {
		return 0, err
	}
	all = all[len(all)-n:] // a store that retried its transaction called once more for each
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

// claim rotates one card that is due. It records a failure in the card, with a
// later Due, so that the rest of the batch is stored.
func (e *Engine) claim(ctx context.Context, change *store.Change) (seen Observation, err error) {
	before := change.Card
	slot := change.Slot
	if slot.IsZero() {
		slot = change.Card.Next
	}
	defer func() {
		if err == nil {
			return
		}
		change.Card, change.Event, change.Write = before, nil, true
		c := &change.Card
		if c.Failures < math.MaxInt32 {
			c.Failures++
		}
		c.Failure = describe(err)
		c.Due = change.Now.Add(backoff.After(c.Failures, maxCardBackoff))
		e.log.ErrorContext(ctx, "automatic rotation failed; retrying with back-off", "card", c.ID, "failures", c.Failures, "at", c.Due, "error", c.Failure)
	}()
	defer e.recovered(ctx, before.ID, &err)
	out, err := e.apply(ctx, change, input{event: rotation.AutoSlot(change.Now, slot)})
	if err != nil {
		return Observation{}, err
	}
	out.Lateness = change.Now.Sub(slot)
	return out.Observation, nil
}

// describe returns an error's text for a card's record, up to 200 bytes of it.
func describe(err error) string {
	text := strings.ToValidUTF8(err.Error(), "")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
	}
	return text
}
