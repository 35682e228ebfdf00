package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

const selectDue = `SELECT n, ` + cardColumns + ` FROM card WHERE due <= ? ORDER BY due, n LIMIT ?`

// Claim implements store.Cards. Each claim has a transaction of its own.
func (s *Store) Claim(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	n := 0
	err := s.submit(s.others, newRequest(ctx, fn, func(c *conn, q *request) error {
		due, err := s.loadDue(c, max(limit, 0))
		if err != nil || len(due) == 0 || !q.call(due...) {
			n = 0
			return err
		}
		for _, l := range due {
			if l.err == nil {
				if err := l.save(c); err != nil {
					return err
				}
			}
		}
		n = len(due)
		return nil
	}))
	if err != nil {
		return 0, err
	}
	return n, nil
}

// loadDue reads up to limit due cards.
func (s *Store) loadDue(c *conn, limit int) (due []*loadedCard, err error) {
	now := s.now()
	err = c.query(context.Background(), func(r *row) error {
		l := &loadedCard{n: r.int(), change: store.Change{Now: now, Card: scanCard(r)}}
		l.id, l.change.Slot = l.change.Card.ID, l.change.Card.Next
		due = append(due, l)
		return nil
	}, selectDue, now.UnixNano(), int64(limit))
	return due, err
}
