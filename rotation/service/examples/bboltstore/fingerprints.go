package bboltstore

import (
	"bytes"
	"context"

	"cvvrotation/rotation/engine/store"
)

// Fingerprints implements store.Cards.
func (s *Store) Fingerprints(ctx context.Context, card string) (prints [][]byte, err error) {
	err = s.do(ctx, false, func(t tx) error {
		prints = t.fingerprints(card)
		return nil
	})
	return prints, err
}

// fingerprints returns copies of a card's fingerprints.
func (t tx) fingerprints(card string) (prints [][]byte) {
	for k := range keys(t.bucket("prints"), after(card)) {
		if !bytes.HasPrefix(k, after(card)) {
			break
		}
		prints = append(prints, bytes.Clone(k[len(card)+1:]))
	}
	return prints
}

// putFingerprints replaces a card's fingerprints.
func (t tx) putFingerprints(card string, prints [][]byte) error {
	holders, index := t.bucket("fingerprints"), t.bucket("prints")
	for _, p := range prints {
		if holder := holders.Get(p); holder != nil && string(holder) != card {
			return &store.FingerprintError{Card: string(holder)}
		}
	}
	for _, p := range t.fingerprints(card) {
		if err := holders.Delete(p); err != nil {
			return err
		}
		if err := index.Delete(append(after(card), p...)); err != nil {
			return err
		}
	}
	for _, p := range prints {
		if err := holders.Put(p, []byte(card)); err != nil {
			return err
		}
		if err := index.Put(append(after(card), p...), nil); err != nil {
			return err
		}
	}
	return nil
}
