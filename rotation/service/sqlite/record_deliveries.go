package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

const (
	delivered = `UPDATE event SET status = 1, since = ? WHERE position = ? AND status = 0`
	failed    = `UPDATE event SET status = ?, since = ?, attempts = attempts + 1, failure = ? WHERE position = ? AND status = 0`
	replay    = `UPDATE event SET status = 0, since = ?, attempts = 0, failure = '' WHERE position BETWEEN ? AND ? AND status <> 0`
)

// change does something that calls no function of the caller's, in a
// transaction of its own, and returns how many rows it changed.
func (s *Store) change(ctx context.Context, do func(*conn) (int64, error)) (n int64, err error) {
	err = s.submit(s.others, newRequest(ctx, nil, func(c *conn, _ *request) (err error) {
		n, err = do(c)
		return err
	}))
	if err != nil {
		return 0, err
	}
	return n, nil
}

// RecordDeliveries implements store.Outbox.
func (s *Store) RecordDeliveries(ctx context.Context, results []store.Delivery) error {
	_, err := s.change(ctx, func(c *conn) (int64, error) {
		now := s.now().UnixNano()
		for _, d := range results {
			var err error
			if d.Status == store.StatusDelivered {
				_, err = c.exec(context.Background(), delivered, now, d.Position)
			} else {
				_, err = c.exec(context.Background(), failed, int64(d.Status), now, d.Failure, d.Position)
			}
			if err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	return err
}

// Requeue implements store.Outbox. All the events are changed in one transaction,
// and updates wait for it: a long log is better replayed piece by piece.
func (s *Store) Requeue(ctx context.Context, first, last int64) (int64, error) {
	return s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), replay, s.now().UnixNano(), first, last)
	})
}
