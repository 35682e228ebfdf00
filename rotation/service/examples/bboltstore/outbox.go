package bboltstore

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"cvvrotation/rotation/engine/store"
)

// entry is an event as it is stored.
type entry struct {
	store.Queued
	Delivered time.Time
}

// putEvent stores an event and keeps the indexes.
func (t tx) putEvent(e entry) error {
	key, waiting := number(e.Position), t.bucket("waiting")
	var err error
	if e.Status == store.StatusWaiting {
		err = waiting.Put(key, nil)
	} else {
		err = waiting.Delete(key)
	}
	if err == nil {
		err = t.bucket("history").Put(historyKey(e.Card, e.Number), key)
	}
	if err != nil {
		return err
	}
	return put(t.bucket("events"), key, e)
}

// deleteEvent deletes an event and its entries in the indexes.
func (t tx) deleteEvent(e entry) error {
	return errors.Join(
		t.bucket("events").Delete(number(e.Position)),
		t.bucket("waiting").Delete(number(e.Position)),
		t.bucket("history").Delete(historyKey(e.Card, e.Number)))
}

func historyKey(card string, n int64) []byte { return append(after(card), number(n)...) }

// waiting returns up to limit waiting events without those of some cards.
func (t tx) waiting(limit int, except []string) (events []entry, err error) {
	for k := range keys(t.bucket("waiting"), nil) {
		if len(events) >= limit {
			break
		}
		e, _, err := get[entry](t.bucket("events"), k)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(except, e.Card) {
			events = append(events, e)
		}
	}
	return events, nil
}

func queued(entries []entry) (events []store.Queued) {
	for _, e := range entries {
		events = append(events, e.Queued)
	}
	return events
}

// ListWaiting implements store.Outbox.
func (s *Store) ListWaiting(ctx context.Context, limit int, except []string) (events []store.Queued, err error) {
	err = s.do(ctx, false, func(t tx) error {
		found, err := t.waiting(limit, except)
		events = queued(found)
		return err
	})
	return events, err
}

// ListEvents implements store.Operator.
func (s *Store) ListEvents(ctx context.Context, after int64, limit int) (events []store.Queued, err error) {
	err = s.do(ctx, false, func(t tx) error {
		found, err := rows(t.bucket("events"), number(max(after, 0)), limit, func(e *entry) bool { return e.Position > after })
		events = queued(found)
		return err
	})
	return events, err
}

// ListCardEvents implements store.Cards.
func (s *Store) ListCardEvents(ctx context.Context, card string, before int64, limit int) (events []store.Queued, err error) {
	err = s.do(ctx, false, func(t tx) error {
		c := t.bucket("history").Cursor()
		c.Seek(historyKey(card, max(before, 0))) // the first key that is not asked for, or the end
		k, position := c.Prev()
		for ; len(events) < limit && bytes.HasPrefix(k, after(card)); k, position = c.Prev() {
			e, _, err := get[entry](t.bucket("events"), position)
			if err != nil {
				return err
			}
			events = append(events, e.Queued)
		}
		return nil
	})
	return events, err
}

// RecordDeliveries implements store.Outbox.
func (s *Store) RecordDeliveries(ctx context.Context, results []store.Delivery) error {
	return s.do(ctx, true, func(t tx) error {
		for _, r := range results {
			e, ok, err := get[entry](t.bucket("events"), number(r.Position))
			if err != nil {
				return err
			}
			if !ok || e.Status != store.StatusWaiting {
				continue
			}
			if e.Status = r.Status; e.Status == store.StatusDelivered {
				e.Delivered = t.now
			} else {
				e.Attempts++
				e.Failure = r.Failure
			}
			if err := t.putEvent(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// CheckWrites implements store.Operator.
func (s *Store) CheckWrites(ctx context.Context) error {
	key := []byte(" check writes") // no card has such an id
	err := s.do(ctx, true, func(t tx) error { return t.bucket("answers").Put(key, make([]byte, 8<<10)) })
	if err != nil {
		return err
	}
	return s.do(ctx, true, func(t tx) error { return t.bucket("answers").Delete(key) })
}

// Requeue implements store.Operator.
func (s *Store) Requeue(ctx context.Context, first, last int64) (n int64, err error) {
	err = s.do(ctx, true, func(t tx) error {
		events := t.bucket("events")
		settled, err := rows(events, number(max(first, 0)), math.MaxInt, func(e *entry) bool {
			return e.Position <= last && e.Status != store.StatusWaiting
		})
		if err != nil {
			return err
		}
		for _, e := range settled {
			e.Status, e.Attempts, e.Failure = store.StatusWaiting, 0, ""
			if err := t.putEvent(e); err != nil {
				return err
			}
		}
		n = int64(len(settled))
		return nil
	})
	return n, err
}

// DeleteUndelivered implements store.Outbox.
func (s *Store) DeleteUndelivered(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.do(ctx, true, func(t tx) error {
		n = 0
		first, err := t.waiting(limit, nil)
		if err != nil {
			return err
		}
		for _, e := range first {
			if !e.At.Before(before) {
				continue
			}
			if err := t.deleteEvent(e); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// Stats implements store.Operator.
func (s *Store) Stats(ctx context.Context) (st store.Stats, err error) {
	err = s.do(ctx, false, func(t tx) error {
		for k := range keys(t.bucket("due"), nil) {
			due := dueOf(k)
			if st.OldestDue.IsZero() {
				st.OldestDue = due
			}
			if due.After(t.now) {
				break
			}
			st.Backlog++
		}
		if _, err := rows(t.bucket("cards"), nil, 1, func(c *store.Card) bool {
			st.Cards++
			if c.Failures > 0 {
				st.Failing++
			}
			return false
		}); err != nil {
			return err
		}
		_, err := rows(t.bucket("events"), nil, 1, func(e *entry) bool {
			switch e.Status {
			case store.StatusParked:
				st.Parked++
			case store.StatusWaiting:
				if st.Waiting++; st.Waiting == 1 {
					st.OldestWaiting = e.At // by position
				}
			}
			return false
		})
		return err
	})
	return st, err
}

// lease implements store.Lease. bbolt locks the file for one process, so a lease need
// not be stored.
type lease struct {
	store *Store
	lost  chan struct{}
}

// AcquireLease implements store.Outbox.
func (s *Store) AcquireLease(ctx context.Context) (store.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.do(ctx, false, func(tx) error { return nil }); err != nil {
		return nil, err
	}
	if s.lease != nil {
		return nil, store.ErrLeaseHeld
	}
	s.lease = &lease{s, make(chan struct{})}
	return s.lease, nil
}

// Lost implements store.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Held implements store.Lease.
func (l *lease) Held() bool {
	select {
	case <-l.lost:
		return false
	default:
		return true
	}
}

// Release implements store.Lease.
func (l *lease) Release() {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.end()
}

// end ends the lease if it is held. The mutex is held.
func (l *lease) end() {
	if l != nil && l.store.lease == l {
		l.store.lease = nil
		close(l.lost)
	}
}
