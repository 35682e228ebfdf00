package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"cvvrotation/rotation/engine/store"
)

// Store returns s with every call timed, counted and traced. Its spans name the
// operation, how many cards or events it was about, and the outcome.
func (m *Metrics) Store(s store.Store) store.Store { return &observed{s, m} }

type observed struct {
	store.Store // Close
	m           *Metrics
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

// end ends the call. Refused is the error of the caller's own function, which
// is no failure of the store.
func (c call) end(err, refused error, attributes ...attribute.KeyValue) {
	outcome := "ok"
	switch {
	case err == nil:
	case refused != nil && errors.Is(err, refused), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrLeading):
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

// Now implements store.Store.
func (o *observed) Now(ctx context.Context) (time.Time, error) {
	ctx, c := o.begin(ctx, "now")
	t, err := o.Store.Now(ctx)
	c.end(err, nil)
	return t, err
}

// Card implements store.Store.
func (o *observed) Card(ctx context.Context, id string) (store.Card, error) {
	ctx, c := o.begin(ctx, "card")
	card, err := o.Store.Card(ctx, id)
	c.end(err, nil)
	return card, err
}

// Update implements store.Store.
func (o *observed) Update(ctx context.Context, id, key string, fn func(*store.Tx) error) error {
	ctx, c := o.begin(ctx, "update")
	var refused error
	err := o.Store.Update(ctx, id, key, func(tx *store.Tx) error {
		refused = fn(tx)
		return refused
	})
	c.end(err, refused)
	return err
}

// Claim implements store.Store.
func (o *observed) Claim(ctx context.Context, limit int, fn func(*store.Tx) error) (int, error) {
	ctx, c := o.begin(ctx, "claim")
	n, err := o.Store.Claim(ctx, limit, fn)
	c.end(err, nil, count(n))
	return n, err
}

// NextDue implements store.Store.
func (o *observed) NextDue(ctx context.Context) (time.Time, bool, error) {
	ctx, c := o.begin(ctx, "next_due")
	t, ok, err := o.Store.NextDue(ctx)
	c.end(err, nil)
	return t, ok, err
}

// Ahead implements store.Store.
func (o *observed) Ahead(ctx context.Context, after string, limit int) ([]string, error) {
	ctx, c := o.begin(ctx, "ahead")
	ids, err := o.Store.Ahead(ctx, after, limit)
	c.end(err, nil, count(len(ids)))
	return ids, err
}

// Cards implements store.Store.
func (o *observed) Cards(ctx context.Context, after string, limit int) ([]store.Card, error) {
	ctx, c := o.begin(ctx, "cards")
	cards, err := o.Store.Cards(ctx, after, limit)
	c.end(err, nil, count(len(cards)))
	return cards, err
}

// Failing implements store.Store.
func (o *observed) Failing(ctx context.Context, limit int) ([]store.Card, error) {
	ctx, c := o.begin(ctx, "failing")
	cards, err := o.Store.Failing(ctx, limit)
	c.end(err, nil, count(len(cards)))
	return cards, err
}

// DueCounts implements store.Store.
func (o *observed) DueCounts(ctx context.Context, from time.Time, step time.Duration, n int) ([]int64, error) {
	ctx, c := o.begin(ctx, "due_counts")
	counts, err := o.Store.DueCounts(ctx, from, step, n)
	c.end(err, nil)
	return counts, err
}

// Stats implements store.Store.
func (o *observed) Stats(ctx context.Context) (store.Stats, error) {
	ctx, c := o.begin(ctx, "stats")
	stats, err := o.Store.Stats(ctx)
	c.end(err, nil)
	return stats, err
}

// Prune implements store.Store.
func (o *observed) Prune(ctx context.Context, deliveredBefore time.Time, limit int) (int, error) {
	ctx, c := o.begin(ctx, "prune")
	n, err := o.Store.Prune(ctx, deliveredBefore, limit)
	c.end(err, nil, count(n))
	return n, err
}

// Lead implements store.Outbox.
func (o *observed) Lead(ctx context.Context) (store.Lease, error) {
	ctx, c := o.begin(ctx, "lead")
	lease, err := o.Store.Lead(ctx)
	c.end(err, nil)
	return lease, err
}

// Pending implements store.Outbox.
func (o *observed) Pending(ctx context.Context, limit int, except []string) ([]store.Queued, error) {
	ctx, c := o.begin(ctx, "pending")
	queued, err := o.Store.Pending(ctx, limit, except)
	c.end(err, nil, count(len(queued)))
	return queued, err
}

// Settle implements store.Outbox.
func (o *observed) Settle(ctx context.Context, results []store.Delivery) error {
	ctx, c := o.begin(ctx, "settle")
	err := o.Store.Settle(ctx, results)
	c.end(err, nil, count(len(results)))
	return err
}

// Log implements store.Outbox.
func (o *observed) Log(ctx context.Context, after int64, limit int) ([]store.Queued, error) {
	ctx, c := o.begin(ctx, "log")
	queued, err := o.Store.Log(ctx, after, limit)
	c.end(err, nil, count(len(queued)))
	return queued, err
}

// Replay implements store.Outbox.
func (o *observed) Replay(ctx context.Context, first, last int64) (int64, error) {
	ctx, c := o.begin(ctx, "replay")
	n, err := o.Store.Replay(ctx, first, last)
	c.end(err, nil, count(int(n)))
	return n, err
}
