package postgres

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The database's time in nanoseconds: beganSQL at the start of the transaction, which
// an index scan can use, and clockSQL at this instant.
const (
	beganSQL = "(extract(epoch FROM now()) * 1000000)::bigint * 1000"
	clockSQL = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"
)

// given returns the time of Options.Clock, nil if the database's clock is used.
func (s *Store) given() *int64 {
	if s.clock == nil {
		return nil
	}
	ns := s.clock.Now().UnixNano()
	return &ns
}

// at returns the store's time, given the database's time in nanoseconds.
func (s *Store) at(ns int64) time.Time {
	if g := s.given(); g != nil {
		ns = *g
	}
	return time.Unix(0, ns).UTC()
}

// Clock implements store.Clocked. It returns nil unless Options.Clock is set.
func (s *Store) Clock() clock.Clock { return s.clock }

// Now implements store.Cards. It returns an error that matches store.ErrReadOnly if the
// server accepts no writes, so that it serves to check readiness.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.with(ctx, s.foreground, "read clock", func(conn *pgxpool.Conn) error {
		var ns int64
		var readOnly bool
		err := conn.QueryRow(ctx, "SELECT "+clockSQL+", current_setting('transaction_read_only')::bool").Scan(&ns, &readOnly)
		if err == nil && readOnly {
			err = readOnlyError(conn.Conn().PgConn())
		}
		now = s.at(ns)
		return err
	})
	return now, err
}
