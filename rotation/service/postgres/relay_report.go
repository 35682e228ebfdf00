package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// ReportRelay implements store.Outbox.
func (s *Store) ReportRelay(ctx context.Context, r store.RelayReport) error {
	var down *int64
	if !r.Down.IsZero() {
		ns := r.Down.UnixNano()
		down = &ns
	}
	return s.with(ctx, s.background, "report the relay", func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, `INSERT INTO relay_report (at, holder, down, failure) VALUES (coalesce($1, `+beganSQL+`), $2, $3, $4)
			ON CONFLICT (one) DO UPDATE SET at = excluded.at, holder = excluded.holder, down = excluded.down, failure = excluded.failure`,
			s.given(), r.Holder, down, r.Failure)
		return err
	})
}

// RelayReport implements store.Operator.
func (s *Store) RelayReport(ctx context.Context) (r store.RelayReport, err error) {
	err = s.with(ctx, s.background, "read the relay's report", func(conn *pgxpool.Conn) error {
		var at int64
		var down *int64
		err := conn.QueryRow(ctx, "SELECT at, holder, down, failure FROM relay_report WHERE one").Scan(&at, &r.Holder, &down, &r.Failure)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		r.At = time.Unix(0, at).UTC()
		if down != nil {
			r.Down = time.Unix(0, *down).UTC()
		}
		return nil
	})
	return r, err
}
