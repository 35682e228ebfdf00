package sqlite

import (
	"context"
	"sync"
	"time"

	lib "modernc.org/sqlite/lib"

	"cvvrotation/rotation/engine/store"
)

const (
	selectWaiting = `SELECT ` + eventColumns + ` FROM event WHERE status = 0 ORDER BY position`
	selectEvents  = `SELECT ` + eventColumns + ` FROM event WHERE position > ? ORDER BY position LIMIT ?`
)

// ListWaiting implements store.Outbox. It also reads the events that it leaves
// out.
func (s *Store) ListWaiting(ctx context.Context, limit int, except []string) (events []store.Queued, err error) {
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
	}, selectWaiting)
	return events, err
}

// ListEvents implements store.Operator.
func (s *Store) ListEvents(ctx context.Context, after int64, limit int) (events []store.Queued, err error) {
	err = s.read(ctx, func(r *row) error {
		events = append(events, scanEvent(r))
		return nil
	}, selectEvents, after, rows(limit))
	return events, err
}

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

// Requeue implements store.Operator. It changes all events in one transaction, and
// updates wait for it: requeue many events in several calls.
func (s *Store) Requeue(ctx context.Context, first, last int64) (int64, error) {
	return s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), requeue, s.now().UnixNano(), first, last)
	})
}

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

// lease implements store.Lease.
type lease struct {
	once sync.Once
	lock fileLock
	lost chan struct{}
}

// AcquireLease implements store.Outbox. The lease ends when it is released, when the
// store is closed and when the process ends.
func (s *Store) AcquireLease(ctx context.Context) (store.Lease, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	lock, err := openFileLock(ctx, s.path+"-relay-lock", 0)
	if err != nil {
		return nil, explain(err)
	}
	if err := lock.acquire(ctx); err != nil {
		lock.Close()
		if resultCode(err) == lib.SQLITE_BUSY {
			return nil, store.ErrLeaseHeld
		}
		return nil, explain(err)
	}
	l := &lease{lock: lock, lost: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		l.Release()
		return nil, store.ErrClosed
	default:
	}
	s.lease = l // the previous one has been released
	return l, nil
}

// Lost implements store.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Release implements store.Lease.
func (l *lease) Release() {
	l.once.Do(func() {
		l.lock.Close()
		close(l.lost)
	})
}

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
