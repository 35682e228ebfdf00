package bboltstore

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

var relayReport = []byte("relay report")

// ReportRelay implements store.Outbox.
func (s *Store) ReportRelay(ctx context.Context, r store.RelayReport) error {
	return s.do(ctx, true, func(t tx) error {
		r.At = instant(s.clock.Now())
		return put(t.bucket("settings"), relayReport, r)
	})
}

// RelayReport implements store.Operator.
func (s *Store) RelayReport(ctx context.Context) (r store.RelayReport, err error) {
	err = s.do(ctx, false, func(t tx) error {
		r, _, err = get[store.RelayReport](t.bucket("settings"), relayReport)
		return err
	})
	return r, err
}
