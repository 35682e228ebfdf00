package engine

import (
	"context"
	"fmt"
)

// CheckKeys decrypts the CVVs of a few cards, and returns an error if it can
// decrypt none: the keys are then most likely not the ones that encrypted them, and
// every rotation would be encrypted with a wrong key. Call it before Run. The error
// matches seal.ErrOpen or seal.ErrUnknownKey, or is the store's.
func (e *Engine) CheckKeys(ctx context.Context) error {
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
		return fmt.Errorf("none of the %d cards that were checked can be decrypted: are these the keys that encrypted them? %w", len(cards), failed)
	}
	return nil
}
