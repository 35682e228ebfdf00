package main

import (
	"context"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/outbox"
)

// expireEvents replaces the relay of a daemon without a sink: it deletes undelivered
// events older than engine.keep_events. The first deletion is one sweep interval after
// the start, so that an operator who forgot the sink can react to the warning.
func (d *daemon) expireEvents(ctx context.Context) error {
	keep := d.cfg.Engine.KeepEvents.Go()
	d.log.Warn("no event sink configured: undelivered events are deleted after engine.keep_events", "keep_events", keep)
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
			d.log.Warn("deleted undelivered events older than engine.keep_events: no event sink configured", "events", n, "keep_events", keep)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn("deleting undelivered events failed; retrying at the next sweep", "error", err)
		}
	}
}
