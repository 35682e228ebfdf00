package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// DeleteExpired implements store.Cards.
func (s *Store) DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (n int, err error) {
	if limit <= 0 {
		return 0, ctx.Err()
	}
	err = s.with(ctx, s.background, "delete expired rows", func(conn *pgxpool.Conn) error {
		// The array is built once, so the limit is exact.
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

// DeleteUndelivered implements store.Outbox.
func (s *Store) DeleteUndelivered(ctx context.Context, before time.Time, limit int) (n int, err error) {
	if limit <= 0 {
		return 0, ctx.Err()
	}
	err = s.with(ctx, s.background, "delete undelivered events", func(conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, `
			DELETE FROM outbox WHERE position = ANY (ARRAY(
				SELECT position FROM (SELECT position, at FROM outbox ORDER BY position LIMIT `+strconv.Itoa(limit)+`) AS first
				WHERE at < $1))`, before.UnixNano())
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}
