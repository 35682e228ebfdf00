package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
)

const sweepPage = 1000

// Sweep repairs slots further ahead than one interval, which a clock that was
// once wrong has set, and deletes expired answers and old events. Run calls it.
func (e *Engine) Sweep(ctx context.Context) error {
	return errors.Join(e.repair(ctx), e.prune(ctx))
}

func (e *Engine) repair(ctx context.Context) error {
	after := ""
	for {
		ids, err := e.store.IDsTooFarAhead(ctx, after, sweepPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := e.repairCard(ctx, id); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				e.log.ErrorContext(ctx, "a slot too far ahead could not be repaired", "card", id, "error", err)
			}
		}
		after = ids[len(ids)-1]
	}
}

// repairCard moves the next slot along its phase to within one interval.
func (e *Engine) repairCard(ctx context.Context, id string) error {
	var seen Observation
	var card store.Card
	var far time.Time
	repaired := false
	err := e.update(ctx, Ref{Card: id}, "", func(tx *store.Change) error {
		repaired = false
		state, err := decodeState(&tx.Card)
		if err != nil {
			return err
		}
		next, ok := state.Next()
		ahead := next.Sub(tx.Now)
		if !ok || ahead <= state.Interval() {
			return nil
		}
		first := tx.Now.Add((ahead-1)%state.Interval() + 1) // in (now, now + interval]
		ev := rotation.SetIntervalFirst(tx.Now, state.Interval(), first)
		decision, err := e.apply(ctx, tx, change{event: ev, repaired: true})
		if err != nil {
			return err
		}
		seen = Observation{Kind: ev.Kind(), Decision: decision}
		card, far, repaired = tx.Card, next, true
		return nil
	})
	if err != nil || !repaired {
		return err
	}
	e.log.WarnContext(ctx, "a slot too far ahead was repaired: a clock was once wrong", "card", id, "was", far, "is", card.Next)
	e.observer.Repaired()
	e.done(seen, &card, true)
	return nil
}

func (e *Engine) prune(ctx context.Context) error {
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

// CheckKeys opens what is sealed of a few cards, and returns an error if none of
// it opens: the keys are then most likely not the ones that sealed it, and every
// rotation from here on would be sealed with a wrong one. Call it before Run. The
// error matches seal.ErrOpen or seal.ErrUnknownKey, or is the store's.
func (e *Engine) CheckKeys(ctx context.Context) error {
	const few = 16
	cards, err := e.store.ListCards(ctx, "", few)
	if err != nil {
		return err
	}
	var failed error
	for i := range cards {
		if _, failed = e.open(ctx, &cards[i]); failed == nil {
			return nil
		}
	}
	if failed != nil && unreadable(failed) {
		return fmt.Errorf("none of the cards looked at (%d) can be opened: are these the keys that sealed them? %w", len(cards), failed)
	}
	return nil
}

// Reseal seals anew everything that is not sealed with the current key, and
// returns how many cards that were. Cards that can't be opened are logged,
// counted in failed, and left as they are.
func (e *Engine) Reseal(ctx context.Context) (resealed, failed int, err error) {
	after := ""
	for {
		cards, err := e.store.ListCards(ctx, after, sweepPage)
		if err != nil || len(cards) == 0 {
			return resealed, failed, err
		}
		for i := range cards {
			after = cards[i].ID
			if changed, err := e.reseal(ctx, &cards[i]); err == nil && !changed {
				continue // most are current; none of these is locked
			}
			err := e.update(ctx, Ref{Card: after}, "", func(tx *store.Change) (err error) {
				tx.Write, err = e.generator.Reseal(&tx.Card)
				return err
			})
			switch {
			case ctx.Err() != nil:
				return resealed, failed, ctx.Err()
			case err != nil:
				failed++
				e.log.ErrorContext(ctx, "a card could not be sealed anew", "card", after, "error", err)
			default:
				resealed++
			}
		}
	}
}
