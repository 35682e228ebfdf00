package engine

import (
	"context"
	"fmt"

	"cvvrotation/rotation/engine/seal"
)

// keyed is a generator that encrypts with a keyring. One of a service's own is not
// checked.
type keyed interface{ keyring() *seal.Keyring }

func (g *randomGenerator) keyring() *seal.Keyring  { return g.keys }
func (g *derivedGenerator) keyring() *seal.Keyring { return g.keys }

// AdoptKeys records in the store that secrets are now encrypted with the keyring's
// current key. Call it before Run. It refuses a keyring that lacks the key that was
// recorded before, and keys that decrypt none of a few cards: every rotation would be
// encrypted with a key that other processes do not have. The error matches ErrKeys, or
// is the store's.
func (e *Engine) AdoptKeys(ctx context.Context) error {
	ring, recorded, err := e.keys(ctx)
	if ring == nil || err != nil {
		return err
	}
	if recorded != 0 && !ring.Has(recorded) {
		return fmt.Errorf("%w: secrets are encrypted with key %d, which is not in the list of keys", ErrKeys, recorded)
	}
	if recorded == ring.ID() {
		return nil
	}
	if recorded != 0 {
		e.log.InfoContext(ctx, "sealing key changed; new secrets are encrypted with it", "from", recorded, "to", ring.ID())
	}
	return e.store.SetSealingKey(ctx, ring.ID())
}

// CheckKeys refuses a keyring whose current key is not the one that AdoptKeys has
// recorded, and keys that decrypt none of a few cards. Call it before a single
// operation beside a service that runs. The error matches ErrKeys, or is the store's.
func (e *Engine) CheckKeys(ctx context.Context) error {
	ring, recorded, err := e.keys(ctx)
	if ring == nil || err != nil {
		return err
	}
	if recorded != 0 && recorded != ring.ID() {
		return fmt.Errorf("%w: the service encrypts with key %d, and the first key of this list is %d", ErrKeys, recorded, ring.ID())
	}
	return nil
}

// keys returns the generator's keyring, nil if it has none, and the id of the key that
// is recorded. The error matches ErrKeys if the keys decrypt none of a few cards.
func (e *Engine) keys(ctx context.Context) (ring *seal.Keyring, recorded uint32, err error) {
	if err := e.decryptsAny(ctx); err != nil {
		return nil, 0, err
	}
	g, ok := e.generator.(keyed)
	if !ok {
		return nil, 0, nil
	}
	recorded, err = e.store.SealingKey(ctx)
	return g.keyring(), recorded, err
}

// decryptsAny decrypts the CVVs of a few cards.
func (e *Engine) decryptsAny(ctx context.Context) error {
	const few = 16
	cards, err := e.store.ListCards(ctx, "", few)
	if err != nil {
		return err
	}
	var failed error
	for i := range cards {
		if _, failed = e.current(ctx, &cards[i]); failed == nil {
			return nil
		}
	}
	if failed != nil && unreadable(failed) {
		return fmt.Errorf("%w: none of the %d cards that were tried can be decrypted: %w", ErrKeys, len(cards), failed)
	}
	return nil
}
