package engine

import (
	"context"
	"fmt"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/paniclog"
)

// recovered, deferred, turns a panic into an error and logs where it happened. A
// caller further up could print the panic's value, which may be a CVV.
func (e *Engine) recovered(ctx context.Context, card string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	*err = fmt.Errorf("panic (%T)", v)
	e.log.ErrorContext(ctx, "operation panicked; returning an error and changing nothing", "card", card, paniclog.Attr(v))
}

// current is the generator's Current, outside of a transaction.
func (e *Engine) current(ctx context.Context, c *store.Card) (cvv cvvgen.CVV, err error) {
	defer e.recovered(ctx, c.ID, &err)
	return e.generator.Current(ctx, c)
}

// reseal is the generator's Reseal, outside of a transaction.
func (e *Engine) reseal(ctx context.Context, c *store.Card) (changed bool, err error) {
	defer e.recovered(ctx, c.ID, &err)
	return e.generator.Reseal(c)
}

// fingerprints is the generator's Fingerprints, outside of a transaction.
func (e *Engine) fingerprints(ctx context.Context, c *store.Card) (prints [][]byte, err error) {
	defer e.recovered(ctx, c.ID, &err)
	return e.generator.Fingerprints(c)
}
