package sqlite

import (
	"context"
	"crypto/rand"

	"cvvrotation/rotation/engine/store"
)

const (
	markDelivered = `UPDATE event SET status = 1, since = ? WHERE position = ? AND status = 0`
	markFailed    = `UPDATE event SET status = ?, since = ?, attempts = attempts + 1, failure = ? WHERE position = ? AND status = 0`
	requeue       = `UPDATE event SET status = 0, since = ?, attempts = 0, failure = '' WHERE position BETWEEN ? AND ? AND status <> 0`
)

// RecordDeliveries implements store.Outbox.
func (s *Store) RecordDeliveries(ctx context.Context, results []store.Delivery) error {
	_, err := s.change(ctx, func(c *conn) (int64, error) {
		now := s.now().UnixNano()
		for _, d := range results {
			var err error
			if d.Status == store.StatusDelivered {
				_, err = c.exec(context.Background(), markDelivered, now, d.Position)
			} else {
				_, err = c.exec(context.Background(), markFailed, int64(d.Status), now, d.Failure, d.Position)
			}
			if err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	return err
}

// The expired answer that CheckWrites writes. Its card is none.
const (
	insertCheck = `INSERT INTO answer (card, key, request, body, expires) VALUES ('', ?, x'', zeroblob(8192), 1)`
	deleteCheck = `DELETE FROM answer WHERE card = '' AND key = ?`
)

// CheckWrites implements store.Operator. The row is deleted in a transaction of its own:
// SQLite does not write pages that one transaction allocates and frees.
func (s *Store) CheckWrites(ctx context.Context) error {
	key := rand.Text()
	for _, query := range []string{insertCheck, deleteCheck} {
		if _, err := s.change(ctx, func(c *conn) (int64, error) {
			return c.exec(context.Background(), query, key)
		}); err != nil {
			return err
		}
	}
	return nil
}

// Requeue implements store.Operator. It changes all events in one transaction, and
// updates wait for it: requeue many events in several calls.
func (s *Store) Requeue(ctx context.Context, first, last int64) (int64, error) {
	return s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), requeue, s.now().UnixNano(), first, last)
	})
}
