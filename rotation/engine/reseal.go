package engine

import (
	"bytes"
	"context"
	"errors"

	"cvvrotation/rotation/engine/store"
)

// Resealed is the result of [Engine.Reseal].
type Resealed struct {
	Cards  int // that were re-encrypted, or whose fingerprint was
	Failed int // that could not be decrypted or stored, and are unchanged
	Shared int // that have no fingerprint, because another card has their PAN and expiry
}

// Reseal re-encrypts every stored secret that is not encrypted with the current key, or
// not bound to its account, and replaces the fingerprints by those of the current key. It
// logs the cards that fail, and those that have the same PAN and expiry as another card.
func (e *Engine) Reseal(ctx context.Context) (r Resealed, err error) {
	after := ""
	for {
		cards, err := e.store.ListCards(ctx, after, sweepPage)
		if err != nil || len(cards) == 0 {
			return r, err
		}
		for i := range cards {
			after = cards[i].ID
			changed, shared, err := e.resealCard(ctx, &cards[i])
			switch {
			case ctx.Err() != nil:
				return r, ctx.Err()
			case err != nil:
				r.Failed++
				e.log.ErrorContext(ctx, "re-encrypting a card failed; leaving it unchanged", "card", after, "error", err)
			case changed:
				r.Cards++
			}
			if shared {
				r.Shared++
			}
		}
	}
}

// resealCard re-encrypts a card that was listed. It reports whether there was anything to
// do, for which alone it locks the card, and whether another card has the fingerprint.
func (e *Engine) resealCard(ctx context.Context, c *store.Card) (changed, shared bool, err error) {
	stale, err := e.staleFingerprints(ctx, c)
	if err == nil {
		changed, err = e.reseal(ctx, c)
	}
	if err == nil && !stale && !changed {
		return false, false, nil
	}
	stale = stale || err != nil
	err = e.resealLocked(ctx, c.ID, stale)
	if taken := (*store.FingerprintError)(nil); errors.As(err, &taken) {
		e.log.WarnContext(ctx, "two cards have the same PAN and expiry; leaving one without a fingerprint", "card", c.ID, "other", taken.Card)
		if !changed {
			return false, true, nil
		}
		return true, true, e.resealLocked(ctx, c.ID, false)
	}
	return true, false, err
}

func (e *Engine) resealLocked(ctx context.Context, card string, stale bool) error {
	_, err := e.update(ctx, AnyAccount(card), "", func(change *store.Change) (err error) {
		if change.Write, err = e.generator.Reseal(&change.Card); err != nil || !stale {
			return err
		}
		prints, err := e.generator.Fingerprints(&change.Card)
		if len(prints) > 0 {
			change.Fingerprints = prints[:1]
		}
		return err
	})
	return err
}

// staleFingerprints reports whether the card has other fingerprints than that of the
// current key.
func (e *Engine) staleFingerprints(ctx context.Context, c *store.Card) (bool, error) {
	want, err := e.fingerprints(ctx, c)
	if err != nil || len(want) == 0 {
		return false, err
	}
	got, err := e.store.Fingerprints(ctx, c.ID)
	return len(got) != 1 || !bytes.Equal(got[0], want[0]), err
}
