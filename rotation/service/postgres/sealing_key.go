package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SealingKey implements store.Cards.
func (s *Store) SealingKey(ctx context.Context) (id uint32, err error) {
	err = s.with(ctx, s.background, "read the id of the sealing key", func(conn *pgxpool.Conn) error {
		var n int64
		err := conn.QueryRow(ctx, "SELECT id FROM sealing_key WHERE one").Scan(&n)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		id = uint32(n)
		return err
	})
	return id, err
}

// SetSealingKey implements store.Cards.
func (s *Store) SetSealingKey(ctx context.Context, id uint32) error {
	return s.with(ctx, s.background, "record the id of the sealing key", func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, "INSERT INTO sealing_key (id) VALUES ($1) ON CONFLICT (one) DO UPDATE SET id = excluded.id", int64(id))
		return err
	})
}
