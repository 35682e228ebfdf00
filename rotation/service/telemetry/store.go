package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/benbjohnson/clock"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/arguments"
)

// Store returns s with every call timed, counted and traced. Its spans carry the
// operation, the number of cards or events, and the outcome.
// It returns an error if s is nil.
func (m *Metrics) Store(s store.Store) (store.Store, error) {
	if arguments.Missing(s) {
		return nil, errors.New("telemetry: a store is required")
	}
	return &observed{s, m}, nil
}

// observed writes out every method of store.Store, and embeds none: a method that
// is missing here does not compile.
type observed struct {
	store store.Store
	m     *Metrics
}

// call is one call of the store.
type call struct {
	m         *Metrics
	operation string
	start     time.Time
	span      trace.Span
}

func (o *observed) begin(ctx context.Context, operation string) (context.Context, call) {
	ctx, span := o.m.tracer.Start(ctx, "store."+operation, trace.WithSpanKind(trace.SpanKindClient))
	return ctx, call{o.m, operation, o.m.clock.Now(), span}
}

// end records the call. refused is the error of the caller's own function, which
// is no failure of the store.
func (c call) end(err, refused error, attributes ...attribute.KeyValue) {
	outcome := "ok"
	switch {
	case err == nil:
	case refused != nil && errors.Is(err, refused), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrLeaseHeld):
		outcome = "refused"
	default:
		outcome = "error"
		c.span.SetStatus(codes.Error, "") // the error's text goes to the log alone
	}
	c.m.storeTime.WithLabelValues(c.operation, outcome).Observe(c.m.clock.Since(c.start).Seconds())
	c.span.SetAttributes(append(attributes, attribute.String("cvv.outcome", outcome))...)
	c.span.End()
}

func count(n int) attribute.KeyValue { return attribute.Int("cvv.count", n) }

// Now implements store.Cards.
func (o *observed) Now(ctx context.Context) (time.Time, error) {
	ctx, c := o.begin(ctx, "now")
	t, err := o.store.Now(ctx)
	c.end(err, nil)
	return t, err
}

// Card implements store.Cards.
func (o *observed) Card(ctx context.Context, id string) (store.Card, error) {
	ctx, c := o.begin(ctx, "card")
	card, err := o.store.Card(ctx, id)
	c.end(err, nil)
	return card, err
}

// Update implements store.Cards.
func (o *observed) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	ctx, c := o.begin(ctx, "update")
	var refused error
	err := o.store.Update(ctx, id, key, func(change *store.Change) error {
		refused = fn(change)
		return refused
	})
	c.end(err, refused)
	return err
}

// Claim implements store.Cards.
func (o *observed) Claim(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	ctx, c := o.begin(ctx, "claim")
	n, err := o.store.Claim(ctx, limit, fn)
	c.end(err, nil, count(n))
	return n, err
}

// NextDue implements store.Cards.
func (o *observed) NextDue(ctx context.Context) (time.Time, bool, error) {
	ctx, c := o.begin(ctx, "next_due")
	t, ok, err := o.store.NextDue(ctx)
	c.end(err, nil)
	return t, ok, err
}

// IDsTooFarAhead implements store.Cards.
func (o *observed) IDsTooFarAhead(ctx context.Context, after string, limit int) ([]string, error) {
	ctx, c := o.begin(ctx, "ids_too_far_ahead")
	ids, err := o.store.IDsTooFarAhead(ctx, after, limit)
	c.end(err, nil, count(len(ids)))
	return ids, err
}

// ListCards implements store.Cards.
func (o *observed) ListCards(ctx context.Context, after string, limit int) ([]store.Card, error) {
	ctx, c := o.begin(ctx, "list_cards")
	cards, err := o.store.ListCards(ctx, after, limit)
	c.end(err, nil, count(len(cards)))
	return cards, err
}

// ListCardEvents implements store.Cards.
func (o *observed) ListCardEvents(ctx context.Context, card string, before int64, limit int) ([]store.Queued, error) {
	ctx, c := o.begin(ctx, "list_card_events")
	events, err := o.store.ListCardEvents(ctx, card, before, limit)
	c.end(err, nil, count(len(events)))
	return events, err
}

// Fingerprints implements store.Cards.
func (o *observed) Fingerprints(ctx context.Context, card string) ([][]byte, error) {
	ctx, c := o.begin(ctx, "fingerprints")
	prints, err := o.store.Fingerprints(ctx, card)
	c.end(err, nil, count(len(prints)))
	return prints, err
}

// SealingKey implements store.Cards.
func (o *observed) SealingKey(ctx context.Context) (uint32, error) {
	ctx, c := o.begin(ctx, "sealing_key")
	id, err := o.store.SealingKey(ctx)
	c.end(err, nil)
	return id, err
}

// SetSealingKey implements store.Cards.
func (o *observed) SetSealingKey(ctx context.Context, id uint32) error {
	ctx, c := o.begin(ctx, "set_sealing_key")
	err := o.store.SetSealingKey(ctx, id)
	c.end(err, nil)
	return err
}

// ListFailingCards implements store.Operator.
func (o *observed) ListFailingCards(ctx context.Context, limit int) ([]store.Card, error) {
	ctx, c := o.begin(ctx, "list_failing_cards")
	cards, err := o.store.ListFailingCards(ctx, limit)
	c.end(err, nil, count(len(cards)))
	return cards, err
}

// CountDue implements store.Operator.
func (o *observed) CountDue(ctx context.Context, from time.Time, step time.Duration, n int) ([]int64, error) {
	ctx, c := o.begin(ctx, "count_due")
	counts, err := o.store.CountDue(ctx, from, step, n)
	c.end(err, nil)
	return counts, err
}

// Stats implements store.Operator.
func (o *observed) Stats(ctx context.Context) (store.Stats, error) {
	ctx, c := o.begin(ctx, "stats")
	stats, err := o.store.Stats(ctx)
	c.end(err, nil)
	return stats, err
}

// DeleteExpired implements store.Cards.
func (o *observed) DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (int, error) {
	ctx, c := o.begin(ctx, "delete_expired")
	n, err := o.store.DeleteExpired(ctx, deliveredBefore, limit)
	c.end(err, nil, count(n))
	return n, err
}

// AcquireLease implements store.Outbox.
func (o *observed) AcquireLease(ctx context.Context) (store.Lease, error) {
	ctx, c := o.begin(ctx, "acquire_lease")
	lease, err := o.store.AcquireLease(ctx)
	c.end(err, nil)
	return lease, err
}

// ListWaiting implements store.Outbox.
func (o *observed) ListWaiting(ctx context.Context, limit int, except []string) ([]store.Queued, error) {
	ctx, c := o.begin(ctx, "list_waiting")
	queued, err := o.store.ListWaiting(ctx, limit, except)
	c.end(err, nil, count(len(queued)))
	return queued, err
}

// RecordDeliveries implements store.Outbox.
func (o *observed) RecordDeliveries(ctx context.Context, results []store.Delivery) error {
	ctx, c := o.begin(ctx, "record_deliveries")
	err := o.store.RecordDeliveries(ctx, results)
	c.end(err, nil, count(len(results)))
	return err
}

// DeleteUndelivered implements store.Outbox.
func (o *observed) DeleteUndelivered(ctx context.Context, before time.Time, limit int) (int, error) {
	ctx, c := o.begin(ctx, "delete_undelivered")
	n, err := o.store.DeleteUndelivered(ctx, before, limit)
	c.end(err, nil, count(n))
	return n, err
}

// ListEvents implements store.Operator.
func (o *observed) ListEvents(ctx context.Context, after int64, limit int) ([]store.Queued, error) {
	ctx, c := o.begin(ctx, "list_events")
	queued, err := o.store.ListEvents(ctx, after, limit)
	c.end(err, nil, count(len(queued)))
	return queued, err
}

// CheckWrites implements store.Operator.
func (o *observed) CheckWrites(ctx context.Context) error {
	ctx, c := o.begin(ctx, "check_writes")
	err := o.store.CheckWrites(ctx)
	c.end(err, nil)
	return err
}

// ReportRelay implements store.Outbox.
func (o *observed) ReportRelay(ctx context.Context, r store.RelayReport) error {
	ctx, c := o.begin(ctx, "report_relay")
	err := o.store.ReportRelay(ctx, r)
	c.end(err, nil)
	return err
}

// RelayReport implements store.Operator.
func (o *observed) RelayReport(ctx context.Context) (store.RelayReport, error) {
	ctx, c := o.begin(ctx, "relay_report")
	r, err := o.store.RelayReport(ctx)
	c.end(err, nil)
	return r, err
}

// Requeue implements store.Operator.
func (o *observed) Requeue(ctx context.Context, first, last int64) (int64, error) {
	ctx, c := o.begin(ctx, "requeue")
	n, err := o.store.Requeue(ctx, first, last)
	c.end(err, nil, count(int(n)))
	return n, err
}

// Close implements store.Store. It is not measured: it comes once, at the end.
func (o *observed) Close() error { return o.store.Close() }

// Clock implements store.Clocked.
func (o *observed) Clock() clock.Clock {
	if c, ok := o.store.(store.Clocked); ok {
		return c.Clock()
	}
	return nil
}
