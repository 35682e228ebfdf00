package enginecheck

import (
	"time"

	"github.com/benbjohnson/clock"
)

// wall is a clock that shows what it was set to. It has no timers: a step of a
// run never waits, and asking it for one panics.
type wall struct {
	clock.Clock
	ns *int64 // since 1970
	by int64  // how far this clock is ahead of that
}

// Now implements clock.Clock.
func (w wall) Now() time.Time { return time.Unix(0, *w.ns+w.by).UTC() }

// Since implements clock.Clock.
func (w wall) Since(t time.Time) time.Duration { return w.Now().Sub(t) }
