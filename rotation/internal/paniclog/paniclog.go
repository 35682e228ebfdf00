// Package paniclog describes a recovered panic without its secrets.
package paniclog

import (
	"fmt"
	"log/slog"
	"path"
	"runtime"
)

// Attr returns what may be logged of a panic: the type of the value, never the
// value, which may be a secret; and the functions that were running, innermost
// first, with file and line, but without the arguments that a stack trace shows.
// Call it in the deferred function that has just recovered v.
func Attr(v any) slog.Attr {
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
