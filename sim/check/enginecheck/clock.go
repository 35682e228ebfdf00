package enginecheck

import (
	"time"

	"github.com/benbjohnson/clock"
)

// runClock is a clock that shows the time of the run. It has no timers, because a
// step of a run never waits: asking it for one panics.
type runClock struct {
	clock.Clock
	ns *int64 // since 1970
	by int64  // how far this clock is ahead of that
}

// Now implements clock.Clock.
func (w runClock) Now() time.Time { return time.Unix(0, *w.ns+w.by).UTC() }

// Since implements clock.Clock.
func (w runClock) Since(t time.Time) time.Duration { return w.Now().Sub(t) }
