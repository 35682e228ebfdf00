package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

const (
	selectHolder       = `SELECT card FROM fingerprint WHERE fingerprint = ? AND card <> ?`
	selectFingerprints = `SELECT fingerprint FROM fingerprint WHERE card = ? ORDER BY fingerprint`
	deleteFingerprints = `DELETE FROM fingerprint WHERE card = ?`
	insertFingerprint  = `INSERT INTO fingerprint (fingerprint, card) VALUES (?, ?) ON CONFLICT DO NOTHING`
)

// Fingerprints implements store.Cards.
func (s *Store) Fingerprints(ctx context.Context, card string) (prints [][]byte, err error) {
	err = s.read(ctx, func(r *row) error {
		prints = append(prints, r.bytes())
		return nil
	}, selectFingerprints, card)
	return prints, err
}

// checkFingerprints returns a *store.FingerprintError as refused if another card has one
// of the fingerprints that the change sets. There is one writer, so this stays true until
// they are stored.
func (l *loadedCard) checkFingerprints(c *conn) (refused, err error) {
	for _, p := range l.change.Fingerprints {
		if err := c.query(context.Background(), func(r *row) error {
			refused = &store.FingerprintError{Card: r.string()}
			return nil
		}, selectHolder, blob(p), l.id); err != nil || refused != nil {
			return refused, err
		}
	}
	return nil, nil
}

// saveFingerprints replaces the card's fingerprints, unless the change leaves them.
func (l *loadedCard) saveFingerprints(c *conn) error {
	if l.change.Fingerprints == nil {
		return nil
	}
	ctx := context.Background()
	if _, err := c.exec(ctx, deleteFingerprints, l.id); err != nil {
		return err
	}
	for _, p := range l.change.Fingerprints {
		if _, err := c.exec(ctx, insertFingerprint, blob(p), l.id); err != nil {
			return err
		}
	}
	return nil
}
