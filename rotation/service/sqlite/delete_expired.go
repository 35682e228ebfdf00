package sqlite

import (
	"context"
	"time"
)

const (
	deleteUndelivered = `DELETE FROM event WHERE position IN (
		SELECT position FROM (SELECT position, at FROM event WHERE status = 0 ORDER BY position LIMIT ?) WHERE at < ?)`

	deleteExpiredAnswers = `DELETE FROM answer WHERE (card, key) IN (
		SELECT card, key FROM answer WHERE expires <= ? ORDER BY expires LIMIT ?)`
	deleteDeliveredEvents = `DELETE FROM event WHERE position IN (
		SELECT position FROM event WHERE status = 1 AND since < ? ORDER BY since LIMIT ?)`
)

// DeleteExpired implements store.Cards.
func (s *Store) DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (int, error) {
	n, err := s.change(ctx, func(c *conn) (int64, error) {
		answers, err := c.exec(context.Background(), deleteExpiredAnswers, s.now().UnixNano(), rows(limit))
		if err != nil {
			return 0, err
		}
		events, err := c.exec(context.Background(), deleteDeliveredEvents, bound(deliveredBefore), rows(limit))
		return answers + events, err
	})
	return int(n), err
}

// DeleteUndelivered implements store.Outbox.
func (s *Store) DeleteUndelivered(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), deleteUndelivered, rows(limit), bound(before))
	})
	return int(n), err
}
