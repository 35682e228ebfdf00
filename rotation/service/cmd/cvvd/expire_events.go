package main

import (
	"context"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/outbox"
)

// expireEvents is the work of a daemon without a sink: it deletes what has waited for one
// for too long. The first time is a while after the start, so that whoever has
// forgotten the sink can read the warning.
func (d *daemon) expireEvents(ctx context.Context) error {
	keep := d.cfg.Engine.KeepEvents.Go()
	d.log.Warn("there is no sink: events wait for one, and are deleted after engine.keep_events", "keep_events", keep)
	ticker := clock.New().Ticker(d.cfg.Engine.Sweep.Go())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		now, err := d.store.Now(ctx)
		n := 0
		if err == nil {
			n, err = outbox.DeleteUndelivered(ctx, d.store, now.Add(-keep))
		}
		if n > 0 {
			d.log.Warn("events were deleted that had waited for a sink for too long", "events", n, "keep_events", keep)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn("events that wait for a sink could not be looked through", "error", err)
		}
	}
}
