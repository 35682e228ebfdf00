package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

const selectStats = `SELECT (SELECT ifnull(max(n), 0) FROM card),
		(SELECT count(*) FROM card WHERE due <= ?),
		(SELECT due FROM card WHERE due IS NOT NULL ORDER BY due LIMIT 1),
		(SELECT count(*) FROM card WHERE failures > 0),
		(SELECT count(*) FROM event WHERE status = 0),
		(SELECT min(at) FROM event WHERE status = 0),
		(SELECT count(*) FROM event WHERE status = 2)`

// Stats implements store.Operator. It counts the backlog by reading an index, which is
// slow if the backlog is large.
func (s *Store) Stats(ctx context.Context) (st store.Stats, err error) {
	err = s.read(ctx, func(r *row) error {
		st = store.Stats{
			Cards: r.int(), Backlog: r.int(), OldestDue: r.time(), Failing: r.int(),
			Waiting: r.int(), OldestWaiting: r.time(), Parked: r.int(),
		}
		return nil
	}, selectStats, s.now().UnixNano())
	return st, err
}
