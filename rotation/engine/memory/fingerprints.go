package memory

import (
	"bytes"
	"context"
	"slices"

	"cvvrotation/rotation/engine/store"
)

// Fingerprints implements store.Cards.
func (s *Store) Fingerprints(ctx context.Context, card string) (prints [][]byte, err error) {
	err = s.do(ctx, Op{Call: CallFingerprints, Card: card}, func() {
		for _, p := range s.prints[card] {
			prints = append(prints, bytes.Clone(p))
		}
	})
	return prints, err
}

// checkPrints returns an error if another card has one of the fingerprints that the
// change sets. The mutex is held.
func (s *Store) checkPrints(change *store.Change) error {
	for _, p := range change.Fingerprints {
		if holder, ok := s.holder[string(p)]; ok && holder != change.Card.ID {
			return &store.FingerprintError{Card: holder}
		}
	}
	return nil
}

// putPrints replaces the card's fingerprints, unless the change leaves them. The mutex is
// held.
func (s *Store) putPrints(change *store.Change) {
	if change.Fingerprints == nil {
		return
	}
	for _, p := range s.prints[change.Card.ID] {
		delete(s.holder, string(p))
	}
	var prints [][]byte
	for _, p := range change.Fingerprints {
		prints = append(prints, bytes.Clone(p))
		s.holder[string(p)] = change.Card.ID
	}
	slices.SortFunc(prints, bytes.Compare)
	s.prints[change.Card.ID] = slices.CompactFunc(prints, bytes.Equal)
}
