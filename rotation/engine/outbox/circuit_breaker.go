package outbox

import (
	"context"
	"errors"
	"time"
)

// breaker decides whether the sink itself is down, as opposed to single events
// that it does not accept. While it is open, deliveries pause. After the n-th pause up
// to n events, and no more than maxProbes, probe the sink. They are of cards that have
// not probed it since it last accepted an event: it may fail on many events, and accept
// the others.
type breaker struct {
	accepted int64 // events that the sink accepted
	suspects int   // cards that failed since it last accepted an event

	pauses      int             // in a row; 0: the breaker is closed
	pausedUntil time.Time       // no delivery before
	probed      map[string]bool // cards whose probe failed since the sink last accepted an event

	down    time.Time // since when the sink accepts nothing; zero: it is up
	failure string    // the latest, while it is down
}

// maxProbes limits the events that probe the sink after one pause.
const maxProbes = 4

// maxAfter limits the delay that a sink can ask for.
const maxAfter = time.Hour

// accept counts events that the sink accepted.
func (b *breaker) accept(n int) {
	if n > 0 {
		b.accepted += int64(n)
		b.suspects = 0
	}
}

// probing reports whether the next delivery probes a sink that was down.
func (b *breaker) probing() bool { return b.pauses > 0 }

// judge opens or closes the breaker after a batch. unavailable and other are
// errors of events that were retried, nil if there were none; acceptedNothing
// says that the sink accepted no event since the batch began.
func (s *session) judge(ctx context.Context, now time.Time, unavailable, other error, acceptedNothing bool) {
	switch {
	case unavailable != nil:
		s.open(ctx, now, unavailable, acceptedNothing)
	case other != nil && acceptedNothing && s.breaker.suspects >= 2:
		s.open(ctx, now, other, true)
	case !acceptedNothing:
		s.close(ctx, now)
	}
}

// open pauses deliveries, because the sink accepts nothing (down) or asks for a
// pause.
func (s *session) open(ctx context.Context, now time.Time, why error, down bool) {
	b := &s.breaker
	if !now.Before(b.pausedUntil) { // batches that fail together are one failure
		b.pauses++
	}
	d := s.o.backoff(b.pauses, s.o.MaxPause)
	var u *Unavailable
	if errors.As(why, &u) {
		d = max(d, min(u.After, maxAfter))
	}
	if end := now.Add(d); end.After(b.pausedUntil) {
		b.pausedUntil = end
	}
	logged := b.failure
	b.failure = reason(why)
	if down && b.down.IsZero() {
		b.down, logged = now, ""
	}
	if !b.down.IsZero() && b.failure != logged {
		s.o.Logger.WarnContext(ctx, "event sink is down; pausing deliveries", "error", b.failure)
	}
}

// close resumes deliveries, because the sink has accepted an event.
func (s *session) close(ctx context.Context, now time.Time) {
	b := &s.breaker
	if b.pauses == 0 {
		return
	}
	b.pauses = 0
	clear(b.probed)
	s.retryNow(now)
	if !b.down.IsZero() {
		s.o.Logger.InfoContext(ctx, "event sink is up again; deliveries resumed", "after", now.Sub(b.down))
		b.down, b.failure = time.Time{}, ""
	}
}
