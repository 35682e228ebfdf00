// Package loglimit limits the rate of log records, so that unauthenticated requests
// cannot fill the disk.
package loglimit

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/benbjohnson/clock"
	"golang.org/x/time/rate"
)

// The limit of a logger: Burst records at once, and PerSecond on average.
const (
	PerSecond = 1
	Burst     = 60
)

// New returns a logger that passes records to next up to the limit and drops the
// others. The next record that it passes has their number in the attribute
// "suppressed".
func New(next *slog.Logger, clk clock.Clock) *slog.Logger {
	return slog.New(handler{next.Handler(), &limit{clock: clk, bucket: rate.NewLimiter(PerSecond, Burst)}})
}

type limit struct {
	clock      clock.Clock
	bucket     *rate.Limiter
	suppressed atomic.Int64
}

type handler struct {
	slog.Handler
	limit *limit
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.limit.bucket.AllowN(h.limit.clock.Now(), 1) {
		h.limit.suppressed.Add(1)
		return nil
	}
	if n := h.limit.suppressed.Swap(0); n > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int64("suppressed", n))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.limit}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.limit}
}
