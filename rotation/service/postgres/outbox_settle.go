package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// Pending implements store.Outbox.
func (s *Store) Pending(ctx context.Context, limit int, except []string) (events []store.Queued, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	cards := &array{element: pgtype.TextOID}
	for _, card := range except {
		cards.text(card)
	}
	err = s.with(ctx, s.back, "pending events", func(conn *pgxpool.Conn) error {
		for {
			var seen sight
			from := s.floor.from(s.timer.Now())
			b := &pgx.Batch{}
			seen.queue(b, from)
			b.Queue(pendingSQL(limit), from, cards).
				Query(func(rows pgx.Rows) (err error) {
					events, err = readEvents(rows)
					return err
				})
			if err := conn.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
			if s.floor.saw(seen) {
				return nil
			}
		}
	})
	return events, err
}

// pendingSQL reads events that wait from a position on, without those of some
// cards. The subselect makes a hash table of these: ten thousand, compared with
// each row, took 0.7 s where this takes 12 ms.
func pendingSQL(limit int) string {
	return "SELECT position, card, number, at, 0, attempts, failure, payload FROM outbox" +
		" WHERE position >= $1 AND card NOT IN (SELECT unnest($2::text[])) ORDER BY position LIMIT " + strconv.Itoa(limit)
}

// readEvents makes events of rows of position, card, number, at, status,
// attempts, failure, payload.
func readEvents(rows pgx.Rows) (events []store.Queued, err error) {
	defer rows.Close()
	for rows.Next() {
		v := rows.RawValues()
		events = append(events, store.Queued{
			Event: store.Event{
				Card:    string(v[1]),
				Number:  int64(binary.BigEndian.Uint64(v[2])),
				At:      instantOf(v[3]),
				Payload: append([]byte{}, v[7]...),
			},
			Position: int64(binary.BigEndian.Uint64(v[0])),
			Status:   store.Status(binary.BigEndian.Uint32(v[4])),
			Attempts: int(binary.BigEndian.Uint32(v[5])),
			Failure:  string(v[6]),
		})
	}
	return events, rows.Err()
}

// Settle implements store.Outbox.
func (s *Store) Settle(ctx context.Context, results []store.Delivery) error {
	// What failed once more, and what is done with: the first result counts
	// that does with a position.
	type group struct{ position, status, failure *array }
	newGroup := func() group {
		return group{&array{element: pgtype.Int8OID}, &array{element: pgtype.Int4OID}, &array{element: pgtype.TextOID}}
	}
	failed, settled := newGroup(), newGroup()
	for _, r := range results {
		g := settled
		if r.Status == store.Waiting {
			g = failed
		}
		g.position.int64(r.Position)
		g.status.int32(int32(r.Status))
		g.failure.text(clean(r.Failure))
	}
	return s.with(ctx, s.back, "settle", func(conn *pgxpool.Conn) error {
		b := &pgx.Batch{}
		b.Queue("BEGIN")
		if failed.position.n > 0 {
			b.Queue(`UPDATE outbox SET attempts = attempts + 1, failure = r.failure
				FROM unnest($1::bigint[], $2::text[]) AS r (position, failure)
				WHERE outbox.position = r.position`, failed.position, failed.failure)
		}
		if settled.position.n > 0 {
			b.Queue(`WITH gone AS (
					DELETE FROM outbox
					USING unnest($1::bigint[], $2::integer[], $3::text[]) AS r (position, status, failure)
					WHERE outbox.position = r.position
					RETURNING outbox.position, number, at, card, payload, r.status,
						attempts + (r.status = 2)::int AS attempts,
						CASE r.status WHEN 2 THEN r.failure ELSE outbox.failure END AS failure
				)
				INSERT INTO settled (position, settled, number, at, attempts, status, card, failure, payload)
				SELECT position, coalesce($4, `+beganSQL+`), number, at, attempts, status, card, failure, payload FROM gone`,
				settled.position, settled.status, settled.failure, s.given())
		}
		b.Queue("COMMIT")
		defer rollback(ctx, conn)
		return conn.SendBatch(ctx, b).Close()
	})
}

// Log implements store.Outbox.
func (s *Store) Log(ctx context.Context, after int64, limit int) (events []store.Queued, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	err = s.with(ctx, s.back, "log of events", func(conn *pgxpool.Conn) error {
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

// Expire implements store.Outbox.
func (s *Store) Expire(ctx context.Context, before time.Time, limit int) (n int, err error) {
	if limit <= 0 {
		return 0, ctx.Err()
	}
	err = s.with(ctx, s.back, "expire", func(conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, `
			DELETE FROM outbox WHERE position = ANY (ARRAY(
				SELECT position FROM (SELECT position, at FROM outbox ORDER BY position LIMIT `+strconv.Itoa(limit)+`) AS first
				WHERE at < $1))`, before.UnixNano())
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}

// Replay implements store.Outbox. Other processes' relays notice it at their
// next look at the outbox.
func (s *Store) Replay(ctx context.Context, first, last int64) (n int64, err error) {
	err = s.with(ctx, s.back, "replay", func(conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			// A million events are more than a statement's usual time.
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
				return err
			}
			tag, err := tx.Exec(ctx, `
				WITH back AS (
					DELETE FROM settled WHERE position BETWEEN $1 AND $2
					RETURNING position, number, at, card, payload
				)
				INSERT INTO outbox (position, number, at, card, payload) OVERRIDING SYSTEM VALUE
				SELECT position, number, at, card, payload FROM back`, first, last)
			if err != nil {
				return err
			}
			n = tag.RowsAffected()
			_, err = tx.Exec(ctx, "UPDATE replays SET n = n + 1")
			return err
		})
	})
	if err != nil {
		n = 0
	}
	return n, err
}

// Prune implements store.Store.
func (s *Store) Prune(ctx context.Context, deliveredBefore time.Time, limit int) (n int, err error) {
	if limit <= 0 {
		return 0, ctx.Err()
	}
	err = s.with(ctx, s.back, "prune", func(conn *pgxpool.Conn) error {
		// A list of rows that is made once: at most so many.
		prune := func(table, condition string, arg any) error {
			tag, err := conn.Exec(ctx, fmt.Sprintf(`DELETE FROM %s WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM %s WHERE %s LIMIT %d FOR UPDATE SKIP LOCKED))`, table, table, condition, limit), arg)
			n += int(tag.RowsAffected())
			return err
		}
		if err := prune("answers", "expires <= coalesce($1, "+beganSQL+") ORDER BY expires", s.given()); err != nil {
			return err
		}
		return prune("settled", "status = 1 AND settled < $1 ORDER BY settled", deliveredBefore.UnixNano())
	})
	return n, err
}
