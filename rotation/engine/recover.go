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

// Panicked is what a log may say of a panic, in the deferred function that has
// just recovered v: the type of the value, never the value, which may hold
// anything; and the functions that were running, innermost first, with file and
// line. A stack trace would show what they were called with as well.
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

// contain, deferred, makes an error of a panic and logs where it was. Whoever is
// above could print what it was panicked with, which may be a CVV.
func (e *Engine) contain(ctx context.Context, card string, err *error) {
	v := recover()
	if v == nil {
		return
	}
	*err = fmt.Errorf("panic (%T)", v)
	e.log.ErrorContext(ctx, "a panic, contained", "card", card, Panicked(v))
}

// open is the generator's Open, contained.
func (e *Engine) open(ctx context.Context, c *store.Card) (cvv cvvgen.CVV, err error) {
	defer e.contain(ctx, c.ID, &err)
	return e.generator.Open(ctx, c, false)
}

// reseal is the generator's Reseal, contained.
func (e *Engine) reseal(ctx context.Context, c *store.Card) (changed bool, err error) {
	defer e.contain(ctx, c.ID, &err)
	return e.generator.Reseal(c)
}
