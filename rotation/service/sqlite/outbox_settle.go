package sqlite

import (
	"context"
	"time"

	"cvvrotation/rotation/engine/store"
)

const (
	eventColumns = `position, card, number, at, status, attempts, failure, payload`

	selectPending = `SELECT ` + eventColumns + ` FROM event WHERE status = 0 ORDER BY position`
	selectLog     = `SELECT ` + eventColumns + ` FROM event WHERE position > ? ORDER BY position LIMIT ?`

	delivered = `UPDATE event SET status = 1, since = ? WHERE position = ? AND status = 0`
	failed    = `UPDATE event SET status = ?, since = ?, attempts = attempts + 1, failure = ? WHERE position = ? AND status = 0`
	expire    = `DELETE FROM event WHERE position IN (
		SELECT position FROM (SELECT position, at FROM event WHERE status = 0 ORDER BY position LIMIT ?) WHERE at < ?)`
	replay = `UPDATE event SET status = 0, since = ?, attempts = 0, failure = '' WHERE position BETWEEN ? AND ? AND status <> 0`

	pruneAnswers = `DELETE FROM answer WHERE (card, key) IN (
		SELECT card, key FROM answer WHERE expires <= ? ORDER BY expires LIMIT ?)`
	pruneEvents = `DELETE FROM event WHERE position IN (
		SELECT position FROM event WHERE status = 1 AND since < ? ORDER BY since LIMIT ?)`
)

func scanEvent(r *row) store.Queued {
	q := store.Queued{Position: r.int()}
	q.Card, q.Number, q.At = r.string(), r.int(), r.time()
	q.Status, q.Attempts, q.Failure = store.Status(r.int()), int(r.int()), r.string()
	q.Payload = r.bytes()
	return q
}

// Pending implements store.Outbox. Events that are left out are read all the
// same.
func (s *Store) Pending(ctx context.Context, limit int, except []string) (events []store.Queued, err error) {
	out := make(map[string]bool, len(except))
	for _, card := range except {
		out[card] = true
	}
	err = s.read(ctx, func(r *row) error {
		if len(events) >= limit {
			return errEnough
		}
		if q := scanEvent(r); !out[q.Card] {
			events = append(events, q)
		}
		return nil
	}, selectPending)
	return events, err
}

// Log implements store.Outbox.
func (s *Store) Log(ctx context.Context, after int64, limit int) (events []store.Queued, err error) {
	err = s.read(ctx, func(r *row) error {
		events = append(events, scanEvent(r))
		return nil
	}, selectLog, after, rows(limit))
	return events, err
}

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

// Settle implements store.Outbox.
func (s *Store) Settle(ctx context.Context, results []store.Delivery) error {
	_, err := s.change(ctx, func(c *conn) (int64, error) {
		now := s.now().UnixNano()
		for _, d := range results {
			var err error
			if d.Status == store.Delivered {
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

// Expire implements store.Outbox.
func (s *Store) Expire(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), expire, rows(limit), bound(before))
	})
	return int(n), err
}

// Replay implements store.Outbox. All the events are changed in one transaction,
// and updates wait for it: a long log is better replayed piece by piece.
func (s *Store) Replay(ctx context.Context, first, last int64) (int64, error) {
	return s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), replay, s.now().UnixNano(), first, last)
	})
}

// Prune implements store.Store.
func (s *Store) Prune(ctx context.Context, deliveredBefore time.Time, limit int) (int, error) {
	n, err := s.change(ctx, func(c *conn) (int64, error) {
		answers, err := c.exec(context.Background(), pruneAnswers, s.now().UnixNano(), rows(limit))
		if err != nil {
			return 0, err
		}
		events, err := c.exec(context.Background(), pruneEvents, bound(deliveredBefore), rows(limit))
		return answers + events, err
	})
	return int(n), err
}
