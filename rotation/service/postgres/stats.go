package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// exact is the number up to which Stats counts rows.
const exact = 20_000

// Stats implements store.Operator. Each number is exact up to 20,000. Beyond that
// it is the planner's estimate, from statistics that autovacuum keeps: a metric must
// not read a hundred million rows.
func (s *Store) Stats(ctx context.Context) (st store.Stats, err error) {
	err = s.with(ctx, s.background, "read statistics", func(conn *pgxpool.Conn) error {
		now := s.given()
		if now == nil {
			now = new(int64)
			if err := conn.QueryRow(ctx, "SELECT "+beganSQL).Scan(now); err != nil {
				return err
			}
		}
		for _, c := range []struct {
			n    *int64
			rows string
		}{
			{&st.Cards, "cards"},
			{&st.Backlog, fmt.Sprintf("cards WHERE due <= %d", *now)},
			{&st.Failing, "cards WHERE failures > 0"},
			{&st.Waiting, "outbox"},
			{&st.Parked, "settled WHERE status = 2"},
		} {
			if err := count(ctx, conn, c.n, c.rows); err != nil {
				return err
			}
		}
		due, _, err := nextDue(ctx, conn)
		if err != nil {
			return err
		}
		st.OldestDue = due
		var at *int64
		if err := conn.QueryRow(ctx,
			fmt.Sprintf("SELECT min(at) FROM (SELECT at FROM outbox ORDER BY position LIMIT %d) AS first", exact+1)).Scan(&at); err != nil {
			return err
		}
		if at != nil {
			st.OldestWaiting = time.Unix(0, *at).UTC()
		}
		return nil
	})
	return st, err
}

// count counts the rows of a FROM clause without parameters.
func count(ctx context.Context, conn *pgxpool.Conn, n *int64, rows string) error {
	sql := fmt.Sprintf("SELECT count(*) FROM (SELECT FROM %s LIMIT %d) AS counted", rows, exact+1)
	if err := conn.QueryRow(ctx, sql, pgx.QueryExecModeExec).Scan(n); err != nil || *n <= exact {
		return err
	}
	var plan []byte
	if err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) SELECT FROM "+rows, pgx.QueryExecModeExec).Scan(&plan); err != nil {
		return err
	}
	var estimate []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(plan, &estimate); err != nil || len(estimate) != 1 {
		return fmt.Errorf("the planner's estimate: %w", err)
	}
	*n = max(*n, int64(estimate[0].Plan.Rows))
	return nil
}
