package outbox

import (
	"context"
	"errors"
	"time"

	"cvvrotation/rotation/engine/store"
)

// deletePage is how many events one transaction deletes.
const deletePage = 1000

// DeleteUndelivered deletes events that have waited since before the given
// instant, without delivering them, and returns how many. It is for a program
// without a sink, whose outbox would grow without limit. It does nothing while a
// relay holds the outbox lease.
func DeleteUndelivered(ctx context.Context, events store.Outbox, before time.Time) (deleted int, err error) {
	lease, err := events.AcquireLease(ctx)
	if errors.Is(err, store.ErrLeaseHeld) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer lease.Release()
	for {
		select {
		case <-lease.Lost(): // a relay may deliver by now
			return deleted, nil
		default:
		}
		n, err := events.DeleteUndelivered(ctx, before, deletePage)
		deleted += n
		if err != nil || n == 0 {
			return deleted, err
		}
	}
}
