package memory

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

// ReportRelay implements store.Outbox.
func (s *Store) ReportRelay(ctx context.Context, r store.RelayReport) error {
	return s.do(ctx, Op{Call: CallReportRelay}, func() {
		r.At = s.now()
		r.Down = instant(r.Down)
		s.report = r
	})
}

// RelayReport implements store.Operator.
func (s *Store) RelayReport(ctx context.Context) (r store.RelayReport, err error) {
	err = s.do(ctx, Op{Call: CallRelayReport}, func() { r = s.report })
	return r, err
}
