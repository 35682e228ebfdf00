package condition

import (
	"context"
	"errors"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
)

// WatchWrites returns s with the outcomes of its writes recorded in o: those that wrote
// something, and those that the database refused. A timeout is no refusal: one card that
// many calls wait for must not make a replica unready. If every write times out, the
// monitor's check does, too. The times are clk's, the system's if it is nil.
func WatchWrites(s store.Store, o *Outcomes, clk clock.Clock) store.Store {
	if clk == nil {
		clk = clock.New()
	}
	return &watched{s, o, clk}
}

type watched struct {
	store.Store
	outcomes *Outcomes
	clock    clock.Clock
}

func (w *watched) record(wrote bool, err error) {
	switch {
	case err == nil && wrote:
		w.outcomes.Record(w.clock.Now(), nil)
	case errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrSchema):
		w.outcomes.Record(w.clock.Now(), err)
	}
}

// Update implements store.Cards.
func (w *watched) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	wrote := false
	err := w.Store.Update(ctx, id, key, func(c *store.Change) error {
		err := fn(c)
		wrote = err == nil && (c.Write || c.Event != nil)
		return err
	})
	w.record(wrote, err)
	return err
}

// Claim implements store.Cards.
func (w *watched) Claim(ctx context.Context, limit int, fn func(*store.Change) error) (int, error) {
	wrote := false
	n, err := w.Store.Claim(ctx, limit, func(c *store.Change) error {
		err := fn(c)
		wrote = wrote || err == nil && (c.Write || c.Event != nil)
		return err
	})
	w.record(wrote, err)
	return n, err
}

// DeleteExpired implements store.Cards.
func (w *watched) DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (int, error) {
	n, err := w.Store.DeleteExpired(ctx, deliveredBefore, limit)
	w.record(false, err) // a deletion may succeed on a full disk
	return n, err
}

// RecordDeliveries implements store.Outbox.
func (w *watched) RecordDeliveries(ctx context.Context, results []store.Delivery) error {
	err := w.Store.RecordDeliveries(ctx, results)
	w.record(false, err)
	return err
}

// Clock implements store.Clocked.
func (w *watched) Clock() clock.Clock {
	if c, ok := w.Store.(store.Clocked); ok {
		return c.Clock()
	}
	return nil
}
