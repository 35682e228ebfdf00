package engine

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

// Reseal re-encrypts every stored secret that is not encrypted with the current key, or
// not bound to its account, and returns how many cards that were. It logs cards that it
// cannot decrypt, counts them in failed, and leaves them unchanged.
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
				continue // most are current; no lock is taken for these
			}
			_, err := e.update(ctx, AnyAccount(after), "", func(change *store.Change) (err error) {
				change.Write, err = e.generator.Reseal(&change.Card)
				return err
			})
			switch {
			case ctx.Err() != nil:
				return resealed, failed, ctx.Err()
			case err != nil:
				failed++
				e.log.ErrorContext(ctx, "re-encrypting a card failed; leaving it unchanged", "card", after, "error", err)
			default:
				resealed++
			}
		}
	}
}
