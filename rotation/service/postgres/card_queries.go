package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// Card implements store.Cards.
func (s *Store) Card(ctx context.Context, id string) (c store.Card, err error) {
	err = s.with(ctx, s.foreground, "read card", func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, "SELECT "+columnNames+" FROM cards WHERE id = $1", id)
		if err != nil {
			return err
		}
		cards, err := readCards(rows)
		if err != nil {
			return err
		}
		if len(cards) == 0 {
			return store.ErrNotFound
		}
		c = cards[0]
		return nil
	})
	return c, err
}

// ListCards implements store.Cards.
func (s *Store) ListCards(ctx context.Context, after string, limit int) ([]store.Card, error) {
	return s.list(ctx, "list cards", "SELECT "+columnNames+" FROM cards WHERE id > $1 ORDER BY id LIMIT $2", after, max(limit, 0))
}

// ListFailingCards implements store.Operator.
func (s *Store) ListFailingCards(ctx context.Context, limit int) ([]store.Card, error) {
	return s.list(ctx, "list failing cards", "SELECT "+columnNames+" FROM cards WHERE failures > 0 ORDER BY id LIMIT $1", max(limit, 0))
}

func (s *Store) list(ctx context.Context, what, sql string, args ...any) (cards []store.Card, err error) {
	err = s.with(ctx, s.background, what, func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		cards, err = readCards(rows)
		return err
	})
	return cards, err
}

// NextDue implements store.Cards.
func (s *Store) NextDue(ctx context.Context) (due time.Time, ok bool, err error) {
	err = s.with(ctx, s.background, "read next due", func(conn *pgxpool.Conn) (err error) {
		due, ok, err = nextDue(ctx, conn)
		return err
	})
	return due, ok, err
}

func nextDue(ctx context.Context, conn *pgxpool.Conn) (time.Time, bool, error) {
	var ns *int64
	if err := conn.QueryRow(ctx, "SELECT min(due) FROM cards WHERE due IS NOT NULL").Scan(&ns); err != nil || ns == nil {
		return time.Time{}, false, err
	}
	return time.Unix(0, *ns).UTC(), true, nil
}

// aheadPage is how many cards one statement of IDsTooFarAhead reads. Statements
// stay short because an old snapshot keeps vacuum from cleaning up.
const aheadPage = 20_000

// IDsTooFarAhead implements store.Cards. It reads the whole table, in pages,
// unless it finds limit cards earlier: no index can hold what depends on the time.
func (s *Store) IDsTooFarAhead(ctx context.Context, after string, limit int) (ids []string, err error) {
	limit = max(limit, 0)
	for more := limit > 0; more && err == nil; {
		err = s.with(ctx, s.background, "list cards too far ahead", func(conn *pgxpool.Conn) error {
			// The last id of a full page comes as an additional row.
			rows, err := conn.Query(ctx, `
				WITH page AS MATERIALIZED (
					SELECT id, next, interval FROM cards WHERE id > $1 ORDER BY id LIMIT $2
				)
				(SELECT id, true FROM page
				 WHERE next - coalesce(interval, 0) > coalesce($3, `+beganSQL+`) ORDER BY id LIMIT $4)
				UNION ALL
				(SELECT id, false FROM page OFFSET $2 - 1)`,
				after, aheadPage, s.given(), limit-len(ids))
			if err != nil {
				return err
			}
			more = false
			var id string
			var ahead bool
			_, err = pgx.ForEachRow(rows, []any{&id, &ahead}, func() error {
				if ahead {
					ids = append(ids, id)
				} else {
					after, more = id, len(ids) < limit
				}
				return nil
			})
			return err
		})
	}
	return ids, err
}

// CountDue implements store.Operator. It reads the index on due between the two
// ends.
func (s *Store) CountDue(ctx context.Context, from time.Time, step time.Duration, n int) ([]int64, error) {
	counts := make([]int64, max(n, 0))
	if n <= 0 || step <= 0 {
		return counts, nil
	}
	first := from.UnixNano()
	last := int64(math.MaxInt64)
	if whole := math.MaxInt64 / int64(step); int64(n) <= whole && first <= math.MaxInt64-int64(n)*int64(step) {
		last = first + int64(n)*int64(step)
	}
	err := s.with(ctx, s.background, "count due cards", func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, `
			SELECT (due - $1) / $2, count(*) FROM cards
			WHERE due >= $1 AND due < $3 GROUP BY 1`, first, int64(step), last)
		if err != nil {
			return err
		}
		var place, count int64
		_, err = pgx.ForEachRow(rows, []any{&place, &count}, func() error {
			if place >= 0 && place < int64(n) {
				counts[place] = count
			}
			return nil
		})
		return err
	})
	return counts, err
}
