package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine/store"
)

// Fingerprints implements store.Cards.
func (s *Store) Fingerprints(ctx context.Context, card string) (prints [][]byte, err error) {
	err = s.with(ctx, s.background, "read fingerprints", func(conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, "SELECT fingerprint FROM fingerprints WHERE card = $1 ORDER BY fingerprint", card)
		if err != nil {
			return err
		}
		prints, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
		return err
	})
	return prints, err
}

// putFingerprints replaces the card's fingerprints. The error wraps a
// *store.FingerprintError in a *callerError if another card has one of them; the
// statements must then be rolled back.
//
// The primary key decides between two transactions: the second waits for the first, and a
// later statement, which sees what the first has committed, finds the holder. All insert in
// the order of bytes, so that they do not wait for each other in a circle.
func (s *Store) putFingerprints(ctx context.Context, l *lockedRow, id string, send func(context.Context, *pgx.Batch) error) error {
	prints := slices.SortedFunc(slices.Values(l.change.Fingerprints), bytes.Compare)
	array := func() *array {
		a := newArray(pgtype.ByteaOID, len(prints), 36)
		for _, p := range prints {
			a.bytes(p)
		}
		return a
	}
	holder, taken := "", false
	b := &pgx.Batch{}
	b.Queue("DELETE FROM "+s.schema+"fingerprints WHERE card = $1 AND fingerprint <> ALL ($2::bytea[])", id, array())
	b.Queue("INSERT INTO "+s.schema+"fingerprints (fingerprint, card) SELECT unnest($1::bytea[]), $2 ON CONFLICT DO NOTHING", array(), id)
	b.Queue("SELECT card FROM "+s.schema+"fingerprints WHERE fingerprint = ANY ($1::bytea[]) AND card <> $2 LIMIT 1", array(), id).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			holder, taken = string(rows.RawValues()[0]), true
		}
		return rows.Err()
	})
	if err := send(ctx, b); err != nil {
		return err
	}
	if taken {
		return &callerError{&store.FingerprintError{Card: holder}}
	}
	return nil
}
