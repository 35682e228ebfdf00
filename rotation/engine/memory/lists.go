package memory

import (
	"context"
	"slices"
	"time"

	"cvvrotation/rotation/engine/store"
)

// Card implements store.Store.
func (s *Store) Card(ctx context.Context, id string) (c store.Card, err error) {
	found := false
	err = s.do(ctx, Op{Call: Card, Card: id}, func() {
		if r := s.rows[id]; r != nil {
			c, found = copyCard(r.card), true
		}
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return c, err
}

// after returns up to limit cards in the order of ids, after the given id, that
// want says yes to. The mutex is held.
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

// Cards implements store.Store.
func (s *Store) Cards(ctx context.Context, after string, limit int) (cards []store.Card, err error) {
	err = s.do(ctx, Op{Call: Cards}, func() {
		cards = copies(s.after(after, limit, func(*store.Card) bool { return true }))
	})
	return cards, err
}

// Failing implements store.Store.
func (s *Store) Failing(ctx context.Context, limit int) (cards []store.Card, err error) {
	err = s.do(ctx, Op{Call: Failing}, func() {
		cards = copies(s.after("", limit, func(c *store.Card) bool { return c.Failures > 0 }))
	})
	return cards, err
}

// Ahead implements store.Store.
func (s *Store) Ahead(ctx context.Context, after string, limit int) (ids []string, err error) {
	err = s.do(ctx, Op{Call: Ahead}, func() {
		now := s.now()
		ahead := func(c *store.Card) bool {
			return c.Next.After(now.Add(c.Interval)) // which the zero time never is
		}
		for _, r := range s.after(after, limit, ahead) {
			ids = append(ids, r.card.ID)
		}
	})
	return ids, err
}

// NextDue implements store.Store.
func (s *Store) NextDue(ctx context.Context) (due time.Time, ok bool, err error) {
	err = s.do(ctx, Op{Call: NextDue}, func() {
		if ok = len(s.due) > 0; ok {
			due = s.due[0].card.Due
		}
	})
	return due, ok, err
}

// DueCounts implements store.Store.
func (s *Store) DueCounts(ctx context.Context, from time.Time, step time.Duration, n int) (counts []int64, err error) {
	err = s.do(ctx, Op{Call: DueCounts}, func() {
		counts = make([]int64, max(n, 0))
		for _, r := range s.due {
			if i := stepOf(from, step, r.card.Due); i >= 0 && i < int64(n) {
				counts[i]++
			}
		}
	})
	return counts, err
}

// Stats implements store.Store.
func (s *Store) Stats(ctx context.Context) (st store.Stats, err error) {
	err = s.do(ctx, Op{Call: Stats}, func() {
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
		st.Pending = int64(len(s.waiting))
		for i, p := range s.waiting {
			if at := s.log[p-1].At; i == 0 || at.Before(st.OldestPending) {
				st.OldestPending = at
			}
		}
		for i := range s.log {
			if s.log[i].Status == store.Parked {
				st.Parked++
			}
		}
	})
	return st, err
}

// Prune implements store.Store.
func (s *Store) Prune(ctx context.Context, deliveredBefore time.Time, limit int) (rows int, err error) {
	err = s.do(ctx, Op{Call: Prune}, func() {
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
			if left > 0 && e.Status == store.Delivered && !e.pruned && e.delivered.Before(deliveredBefore) {
				e.pruned = true
				left--
				rows++
			}
		}
	})
	return rows, err
}
