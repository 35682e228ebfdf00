package sqlite

import "context"

const (
	selectSealingKey = `SELECT id FROM sealing_key WHERE one = 1`
	upsertSealingKey = `INSERT INTO sealing_key (one, id) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET id = excluded.id`
)

// SealingKey implements store.Cards.
func (s *Store) SealingKey(ctx context.Context) (id uint32, err error) {
	err = s.read(ctx, func(r *row) error {
		id = uint32(r.int())
		return nil
	}, selectSealingKey)
	return id, err
}

// SetSealingKey implements store.Cards.
func (s *Store) SetSealingKey(ctx context.Context, id uint32) error {
	_, err := s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), upsertSealingKey, int64(id))
	})
	return err
}
