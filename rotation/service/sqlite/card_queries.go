package sqlite

import (
	"context"
	"math"
	"time"

	"cvvrotation/rotation/engine/store"
)

const (
	selectCards       = `SELECT ` + cardColumns + ` FROM card WHERE id > ? ORDER BY id LIMIT ?`
	selectFailing     = `SELECT ` + cardColumns + ` FROM card WHERE failures > 0 ORDER BY id LIMIT ?`
	selectTooFarAhead = `SELECT id FROM card NOT INDEXED WHERE next > ? + interval AND id > ? ORDER BY id LIMIT ?`
	selectNextDue     = `SELECT due FROM card WHERE due IS NOT NULL ORDER BY due LIMIT 1`
	countDue          = `SELECT (due - ?1) / ?2, count(*) FROM card WHERE due >= ?1 AND due < ?3 GROUP BY 1`
)

// cards returns the result of a query of cardColumns.
func (s *Store) cards(ctx context.Context, query string, args ...any) (cards []store.Card, err error) {
	err = s.read(ctx, func(r *row) error {
		cards = append(cards, scanCard(r))
		return nil
	}, query, args...)
	return cards, err
}

// Card implements store.Cards.
func (s *Store) Card(ctx context.Context, id string) (store.Card, error) {
	var c store.Card
	found := false
	err := s.read(ctx, func(r *row) error {
		r.int()
		c, found = scanCard(r), true
		return nil
	}, selectCard, id)
	if err != nil {
		return store.Card{}, err
	}
	if !found {
		return store.Card{}, store.ErrNotFound
	}
	return c, nil
}

// ListCards implements store.Cards.
func (s *Store) ListCards(ctx context.Context, after string, limit int) ([]store.Card, error) {
	return s.cards(ctx, selectCards, after, rows(limit))
}

// ListFailingCards implements store.Operator.
func (s *Store) ListFailingCards(ctx context.Context, limit int) ([]store.Card, error) {
	return s.cards(ctx, selectFailing, rows(limit))
}

// IDsTooFarAhead implements store.Cards. It reads all cards in the order of the file,
// which is much faster than the order of their ids.
func (s *Store) IDsTooFarAhead(ctx context.Context, after string, limit int) (ids []string, err error) {
	err = s.read(ctx, func(r *row) error {
		ids = append(ids, r.string())
		return nil
	}, selectTooFarAhead,
		s.now().UnixNano(), after, rows(limit))
	return ids, err
}

// NextDue implements store.Cards.
func (s *Store) NextDue(ctx context.Context) (due time.Time, ok bool, err error) {
	err = s.read(ctx, func(r *row) error {
		due, ok = r.time(), true
		return nil
	}, selectNextDue)
	return due, ok, err
}

// CountDue implements store.Operator.
func (s *Store) CountDue(ctx context.Context, from time.Time, step time.Duration, n int) ([]int64, error) {
	counts := make([]int64, max(n, 0))
	if len(counts) == 0 || step <= 0 {
		return counts, s.open(ctx)
	}
	first, last := bound(from), int64(math.MaxInt64)
	if int64(n) < math.MaxInt64/int64(step) {
		last = bound(from.Add(step * time.Duration(n)))
	}
	return counts, s.read(ctx, func(r *row) error {
		counts[r.int()] = r.int()
		return nil
	}, countDue, first, int64(step), last)
}

// rows returns a limit for SQL, where a negative one would mean no limit.
func rows(limit int) int64 { return int64(max(limit, 0)) }

// bound returns t in nanoseconds, limited to the range of int64.
func bound(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}
