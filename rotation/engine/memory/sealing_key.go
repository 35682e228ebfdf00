package memory

import "context"

// SealingKey implements store.Cards.
func (s *Store) SealingKey(ctx context.Context) (id uint32, err error) {
	err = s.do(ctx, Op{Call: CallSealingKey}, func() { id = s.sealingKey })
	return id, err
}

// SetSealingKey implements store.Cards.
func (s *Store) SetSealingKey(ctx context.Context, id uint32) error {
	return s.do(ctx, Op{Call: CallSetSealingKey}, func() { s.sealingKey = id })
}
