package memory

import (
	"context"
	"slices"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Card implements store.Cards.
func (s *Store) Card(ctx context.Context, id string) (c store.Card, err error) {
	found := false
	err = s.do(ctx, Op{Call: CallCard, Card: id}, func() {
		if r := s.rows[id]; r != nil {
			c, found = copyCard(r.card), true
		}
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return c, err
}

// after returns up to limit cards for which want returns true, in the order of
// ids, after the given id. The mutex is held.
func (s *Store) after(id string, limit int, want func(*store.Card) bool) []*row {
	if s.shuffle {
		slices.Sort(s.ids)
		s.shuffle = false
	}
	i, found := slices.BinarySearch(s.ids, id)
	if found {
		i++
	}
	var rows []*row
	for ; i < len(s.ids) && len(rows) < limit; i++ {
		if r := s.rows[s.ids[i]]; want(&r.card) {
			rows = append(rows, r)
		}
	}
	return rows
}

func copies(rows []*row) []store.Card {
	cards := make([]store.Card, len(rows))
	for i, r := range rows {
		cards[i] = copyCard(r.card)
	}
	return cards
}

// ListCards implements store.Cards.
func (s *Store) ListCards(ctx context.Context, after string, limit int) (cards []store.Card, err error) {
	err = s.do(ctx, Op{Call: CallListCards}, func() {
		cards = copies(s.after(after, limit, func(*store.Card) bool { return true }))
	})
	return cards, err
}

// ListFailingCards implements store.Operator.
func (s *Store) ListFailingCards(ctx context.Context, limit int) (cards []store.Card, err error) {
	err = s.do(ctx, Op{Call: CallListFailingCards}, func() {
		cards = copies(s.after("", limit, func(c *store.Card) bool { return c.Failures > 0 }))
	})
	return cards, err
}

// IDsTooFarAhead implements store.Cards.
func (s *Store) IDsTooFarAhead(ctx context.Context, after string, limit int) (ids []string, err error) {
	err = s.do(ctx, Op{Call: CallIDsTooFarAhead}, func() {
		now := s.now()
		ahead := func(c *store.Card) bool {
			return c.Next.After(now.Add(c.Interval)) // false for the zero time
		}
		for _, r := range s.after(after, limit, ahead) {
			ids = append(ids, r.card.ID)
		}
	})
	return ids, err
}

// NextDue implements store.Cards.
func (s *Store) NextDue(ctx context.Context) (due time.Time, ok bool, err error) {
	err = s.do(ctx, Op{Call: CallNextDue}, func() {
		if ok = len(s.due) > 0; ok {
			due = s.due[0].card.Due
		}
	})
	return due, ok, err
}

// CountDue implements store.Operator.
func (s *Store) CountDue(ctx context.Context, from time.Time, step time.Duration, n int) (counts []int64, err error) {
	err = s.do(ctx, Op{Call: CallCountDue}, func() {
		counts = make([]int64, max(n, 0))
		for _, r := range s.due {
			if i := stepOf(from, step, r.card.Due); i >= 0 && i < int64(n) {
				counts[i]++
			}
		}
	})
	return counts, err
}

// Stats implements store.Operator.
func (s *Store) Stats(ctx context.Context) (st store.Stats, err error) {
	err = s.do(ctx, Op{Call: CallStats}, func() {
		now := s.now()
		st.Cards = int64(len(s.rows))
		for _, r := range s.rows {
			if r.card.Failures > 0 {
				st.Failing++
			}
		}
		for _, r := range s.due {
			if !r.card.Due.After(now) {
				st.Backlog++
			}
		}
		if len(s.due) > 0 {
			st.OldestDue = s.due[0].card.Due
		}
		st.Waiting = int64(len(s.waiting))
		for i, p := range s.waiting {
			if at := s.log[p-1].At; i == 0 || at.Before(st.OldestWaiting) {
				st.OldestWaiting = at
			}
		}
		for i := range s.log {
			if s.log[i].Status == store.StatusParked {
				st.Parked++
			}
		}
	})
	return st, err
}

// DeleteExpired implements store.Cards.
func (s *Store) DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (rows int, err error) {
	err = s.do(ctx, Op{Call: CallDeleteExpired}, func() {
		now, left := s.now(), limit
		for k, a := range s.answers {
			if left > 0 && !a.Expires.After(now) {
				delete(s.answers, k)
				left--
				rows++
			}
		}
		left = limit
		for i := range s.log {
			e := &s.log[i]
			if left > 0 && e.Status == store.StatusDelivered && !e.pruned && e.delivered.Before(deliveredBefore) {
				e.pruned = true
				left--
				rows++
			}
		}
	})
	return rows, err
}
