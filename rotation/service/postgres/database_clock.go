package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The database's time in nanoseconds: as the transaction began, which an index
// can be searched with, and at this instant.
const (
	beganSQL = "(extract(epoch FROM now()) * 1000000)::bigint * 1000"
	clockSQL = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000"
)

// given returns the time to use in place of the database's, nil for none.
func (s *Store) given() *int64 {
	if s.clock == nil {
		return nil
	}
	ns := s.clock.Now().UnixNano()
	return &ns
}

// at returns the store's time, which was ns when the database was asked.
func (s *Store) at(ns int64) time.Time {
	if g := s.given(); g != nil {
		ns = *g
	}
	return time.Unix(0, ns).UTC()
}

// Now implements store.Store.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.with(ctx, s.front, "now", func(conn *pgxpool.Conn) error {
		var ns int64
		err := conn.QueryRow(ctx, "SELECT "+clockSQL).Scan(&ns)
		now = s.at(ns)
		return err
	})
	return now, err
}
