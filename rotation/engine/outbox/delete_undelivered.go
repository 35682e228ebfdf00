package outbox

import (
	"context"
	"errors"
	"time"

	"cvvrotation/rotation/engine/store"
)

// expirePage is how many events one transaction deletes.
const expirePage = 1000

// Expire deletes, undelivered and for good, the events that wait since before the
// instant given, and returns how many: for a program that has no sink, whose outbox
// would grow without end. While a relay leads the outbox, which delivers them, it
// does nothing.
func Expire(ctx context.Context, o store.Outbox, before time.Time) (deleted int, err error) {
	lease, err := o.Lead(ctx)
	if errors.Is(err, store.ErrLeading) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer lease.Release()
	for {
		select {
		case <-lease.Lost(): // a relay may lead by now
			return deleted, nil
		default:
		}
		n, err := o.Expire(ctx, before, expirePage)
		deleted += n
		if err != nil || n == 0 {
			return deleted, err
		}
	}
}
