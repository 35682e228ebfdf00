package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

const (
	selectRelayReport = `SELECT at, holder, down, failure FROM relay_report WHERE one = 1`
	upsertRelayReport = `INSERT INTO relay_report (one, at, holder, down, failure) VALUES (1, ?, ?, ?, ?)
		ON CONFLICT (one) DO UPDATE SET at = excluded.at, holder = excluded.holder, down = excluded.down, failure = excluded.failure`
)

// ReportRelay implements store.Outbox.
func (s *Store) ReportRelay(ctx context.Context, r store.RelayReport) error {
	_, err := s.change(ctx, func(c *conn) (int64, error) {
		return c.exec(context.Background(), upsertRelayReport, instant(s.now()), r.Holder, instant(r.Down), r.Failure)
	})
	return err
}

// RelayReport implements store.Operator.
func (s *Store) RelayReport(ctx context.Context) (r store.RelayReport, err error) {
	err = s.read(ctx, func(row *row) error {
		r = store.RelayReport{At: row.time(), Holder: row.string(), Down: row.time(), Failure: row.string()}
		return nil
	}, selectRelayReport)
	return r, err
}
