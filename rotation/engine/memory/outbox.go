package memory

import (
	"bytes"
	"context"
	"slices"
	"time"

	"cvvrotation/rotation/engine/store"
)

// entry is an event in the log. Entries are never removed.
type entry struct {
	store.Queued
	delivered time.Time
	pruned    bool // only Written still returns it
}

// append adds an event to the outbox. The mutex is held.
func (s *Store) append(e store.Event) {
	e.At = instant(e.At)
	e.Payload = bytes.Clone(e.Payload)
	position := int64(len(s.log)) + 1
	s.log = append(s.log, entry{Queued: store.Queued{Event: e, Position: position}})
	s.waiting = append(s.waiting, position)
}

func (e *entry) copy() store.Queued {
	q := e.Queued
	q.Payload = bytes.Clone(q.Payload)
	return q
}

// Written returns every event that was ever written after the given position, in
// the order of positions, delivered and pruned ones too. Position p is at
// p-1-after. It injects no faults.
func (s *Store) Written(after int64) []store.Queued {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []store.Queued
	for i := max(after, 0); i < int64(len(s.log)); i++ {
		events = append(events, s.log[i].copy())
	}
	return events
}

// ListWaiting implements store.Outbox.
func (s *Store) ListWaiting(ctx context.Context, limit int, except []string) (events []store.Queued, err error) {
	out := make(map[string]bool, len(except))
	for _, card := range except {
		out[card] = true
	}
	err = s.do(ctx, Op{Call: CallListWaiting}, func() {
		for _, p := range s.waiting {
			if len(events) >= limit {
				return
			}
			if e := &s.log[p-1]; !out[e.Card] {
				events = append(events, e.copy())
			}
		}
	})
	return events, err
}

// RecordDeliveries implements store.Outbox.
func (s *Store) RecordDeliveries(ctx context.Context, results []store.Delivery) error {
	return s.do(ctx, Op{Call: CallRecordDeliveries}, func() {
		now := s.now()
		for _, d := range results {
			if d.Position < 1 || d.Position > int64(len(s.log)) {
				continue
			}
			e := &s.log[d.Position-1]
			if e.Status != store.StatusWaiting {
				continue
			}
			if e.Status = d.Status; d.Status == store.StatusDelivered {
				e.delivered = now
				continue
			}
			e.Attempts++
			e.Failure = d.Failure
		}
		s.waiting = slices.DeleteFunc(s.waiting, func(p int64) bool {
			return s.log[p-1].Status != store.StatusWaiting
		})
	})
}

// ListEvents implements store.Operator.
func (s *Store) ListEvents(ctx context.Context, after int64, limit int) (events []store.Queued, err error) {
	err = s.do(ctx, Op{Call: CallListEvents}, func() {
		for i := max(after, 0); i < int64(len(s.log)) && len(events) < limit; i++ {
			if e := &s.log[i]; !e.pruned {
				events = append(events, e.copy())
			}
		}
	})
	return events, err
}

// ListCardEvents implements store.Cards. It scans all events.
func (s *Store) ListCardEvents(ctx context.Context, card string, before int64, limit int) (events []store.Queued, err error) {
	err = s.do(ctx, Op{Call: CallListCardEvents, Card: card}, func() {
		for i := len(s.log) - 1; i >= 0 && len(events) < limit; i-- {
			if e := &s.log[i]; e.Card == card && e.Number < before && !e.pruned {
				events = append(events, e.copy())
			}
		}
	})
	return events, err
}

// DeleteUndelivered implements store.Outbox.
func (s *Store) DeleteUndelivered(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.do(ctx, Op{Call: CallDeleteUndelivered}, func() {
		kept := s.waiting[:0]
		for i, p := range s.waiting {
			if e := &s.log[p-1]; i < limit && e.At.Before(before) {
				e.pruned = true
				n++
			} else {
				kept = append(kept, p)
			}
		}
		s.waiting = kept
	})
	return n, err
}

// CheckWrites implements store.Operator.
func (s *Store) CheckWrites(ctx context.Context) error {
	return s.do(ctx, Op{Call: CallCheckWrites}, func() {})
}

// Requeue implements store.Operator.
func (s *Store) Requeue(ctx context.Context, first, last int64) (n int64, err error) {
	err = s.do(ctx, Op{Call: CallRequeue}, func() {
		for p := max(first, 1); p <= min(last, int64(len(s.log))); p++ {
			e := &s.log[p-1]
			if e.pruned || e.Status == store.StatusWaiting {
				continue
			}
			e.Status, e.Attempts, e.Failure = store.StatusWaiting, 0, ""
			s.waiting = append(s.waiting, p)
			n++
		}
		slices.Sort(s.waiting)
	})
	return n, err
}

// lease implements store.Lease.
type lease struct {
	store *Store
	lost  chan struct{}
}

// AcquireLease implements store.Outbox.
func (s *Store) AcquireLease(ctx context.Context) (store.Lease, error) {
	l := &lease{store: s, lost: make(chan struct{})}
	leading := false
	err := s.do(ctx, Op{Call: CallAcquireLease}, func() {
		if leading = s.leader != nil; !leading {
			s.leader = l
		}
	})
	if err != nil {
		l.Release()
		return nil, err
	}
	if leading {
		return nil, store.ErrLeaseHeld
	}
	return l, nil
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
	l.store.endLease(l)
}

// endLease ends l if it is held. The mutex is held.
func (s *Store) endLease(l *lease) {
	if l != nil && s.leader == l {
		s.leader = nil
		close(l.lost)
	}
}

// LoseLease ends the lease of the relay that holds it, as a broken connection to a
// database does.
func (s *Store) LoseLease() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLease(s.leader)
}
