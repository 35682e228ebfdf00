package postgres

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// ListWaiting implements store.Outbox.
func (s *Store) ListWaiting(ctx context.Context, limit int, except []string) (events []store.Queued, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	cards := &array{element: pgtype.TextOID}
	for _, card := range except {
		cards.text(card)
	}
	err = s.with(ctx, s.background, "list waiting events", func(conn *pgxpool.Conn) error {
		for {
			var scan outboxScan
			from := s.outboxMark.start(s.timer.Now())
			b := &pgx.Batch{}
			scan.queue(b, from)
			b.Queue(waitingSQL(limit), from, cards).
				Query(func(rows pgx.Rows) (err error) {
					events, err = readEvents(rows)
					return err
				})
			if err := conn.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
			if s.outboxMark.advance(scan) {
				return nil
			}
		}
	})
	return events, err
}

// waitingSQL returns the statement that reads waiting events from a position on,
// without those of some cards. The subselect becomes a hash table: with ten thousand
// cards, comparing each row with each of them took 0.7 s, this takes 12 ms.
func waitingSQL(limit int) string {
	return "SELECT position, card, number, at, 0, attempts, failure, payload FROM outbox" +
		" WHERE position >= $1 AND card NOT IN (SELECT unnest($2::text[])) ORDER BY position LIMIT " + strconv.Itoa(limit)
}

// ListEvents implements store.Operator.
func (s *Store) ListEvents(ctx context.Context, after int64, limit int) (events []store.Queued, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	err = s.with(ctx, s.background, "list events", func(conn *pgxpool.Conn) error {
		n := strconv.Itoa(limit)
		rows, err := conn.Query(ctx, `
			(SELECT position, card, number, at, 0, attempts, failure, payload FROM outbox
			 WHERE position > $1 ORDER BY position LIMIT `+n+`)
			UNION ALL
			(SELECT position, card, number, at, status::int, attempts, failure, payload FROM settled
			 WHERE position > $1 ORDER BY position LIMIT `+n+`)
			ORDER BY 1 LIMIT `+n, after)
		if err != nil {
			return err
		}
		events, err = readEvents(rows)
		return err
	})
	return events, err
}

// ListCardEvents implements store.Cards. It scans the outbox, which is small unless
// delivery is falling behind or there is no relay. One scan runs at a time, so that
// histories never take the connections of claims and the relay.
func (s *Store) ListCardEvents(ctx context.Context, card string, before int64, limit int) (events []store.Queued, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	select {
	case s.scanning <- struct{}{}:
		defer func() { <-s.scanning }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = s.with(ctx, s.background, "list a card's events", func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, cardEventsSQL(limit), card, before)
		if err != nil {
			return err
		}
		events, err = readEvents(rows)
		return err
	})
	return events, err
}

// cardEventsSQL returns the statement that lists a card's events. It is one statement,
// since an event may move from one table to the other meanwhile.
func cardEventsSQL(limit int) string {
	n := strconv.Itoa(limit)
	return `
		(SELECT position, card, number, at, status::int, attempts, failure, payload FROM settled
		 WHERE card = $1 AND number < $2 ORDER BY number DESC LIMIT ` + n + `)
		UNION ALL
		(SELECT position, card, number, at, 0, attempts, failure, payload FROM outbox
		 WHERE card = $1 AND number < $2 ORDER BY number DESC LIMIT ` + n + `)
		ORDER BY 3 DESC LIMIT ` + n
}
