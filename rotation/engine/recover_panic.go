package engine

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"runtime"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine/store"
)

// Panicked returns what may be logged of a panic: the type of the value, never the
// value, which may be a secret; and the functions that were running, innermost
// first, with file and line, but without the arguments that a stack trace shows.
// Call it in the deferred function that has just recovered v.
func Panicked(v any) slog.Attr {
	const deepest = 64
	pcs := make([]uintptr, deepest)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var at []string
	recovering := true
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		at = append(at, fmt.Sprintf("%s %s:%d", f.Function, path.Base(f.File), f.Line))
		if recovering && f.Function == "runtime.gopanic" {
			recovering, at = false, nil // so far it was the recovery
		}
	}
	return slog.Group("panic", "type", fmt.Sprintf("%T", v), "at", at)
}

// recovered, deferred, turns a panic into an error and logs where it happened. A
// caller further up could print the panic's value, which may be a CVV.
func (e *Engine) recovered(ctx context.Context, card string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	*err = fmt.Errorf("panic (%T)", v)
	e.log.ErrorContext(ctx, "operation panicked; returning an error and changing nothing", "card", card, Panicked(v))
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
