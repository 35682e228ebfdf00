package bboltstore

import (
	"context"
	"encoding/binary"
)

var sealingKey = []byte("sealing key")

// SealingKey implements store.Cards.
func (s *Store) SealingKey(ctx context.Context) (id uint32, err error) {
	err = s.do(ctx, false, func(t tx) error {
		if b := t.bucket("settings").Get(sealingKey); b != nil {
			id = binary.BigEndian.Uint32(b)
		}
		return nil
	})
	return id, err
}

// SetSealingKey implements store.Cards.
func (s *Store) SetSealingKey(ctx context.Context, id uint32) error {
	return s.do(ctx, true, func(t tx) error {
		return t.bucket("settings").Put(sealingKey, binary.BigEndian.AppendUint32(nil, id))
	})
}
