package postgres

import (
	"context"
	"crypto/rand"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// RecordDeliveries implements store.Outbox.
func (s *Store) RecordDeliveries(ctx context.Context, results []store.Delivery) error {
	type group struct{ position, status, failure *array }
	newGroup := func() group {
		return group{&array{element: pgtype.Int8OID}, &array{element: pgtype.Int4OID}, &array{element: pgtype.TextOID}}
	}
	failed, settled := newGroup(), newGroup() // stay in the outbox, leave it
	for _, r := range results {
		g := settled
		if r.Status == store.StatusWaiting {
			g = failed
		}
		g.position.int64(r.Position)
		g.status.int32(int32(r.Status))
		g.failure.text(clean(r.Failure))
	}
	return s.with(ctx, s.background, "record deliveries", func(conn *pgxpool.Conn) error {
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

// CheckWrites implements store.Operator. The row is an expired answer of no card. Its
// body is random, so that the server does not compress it.
func (s *Store) CheckWrites(ctx context.Context) error {
	key, body := rand.Text(), make([]byte, 8<<10)
	_, _ = rand.Read(body) // never fails
	return s.with(ctx, s.background, "check writes", func(conn *pgxpool.Conn) error {
		if _, err := conn.Exec(ctx, "INSERT INTO answers (expires, request, card, key, body) VALUES (1, '', '', $1, $2)", key, body); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "DELETE FROM answers WHERE card = '' AND key = $1", key)
		return err
	})
}

// Requeue implements store.Operator. Relays of other processes notice it with
// their next scan of the outbox.
func (s *Store) Requeue(ctx context.Context, first, last int64) (n int64, err error) {
	err = s.with(ctx, s.background, "requeue", func(conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			// A million events need more than the usual timeout.
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
