package main

import (
	"context"
	"time"

	"github.com/benbjohnson/clock"
)

// storeCheck is the interval of the daemon's own checks of the store.
const storeCheck = time.Second

// watchStore checks the store regularly until ctx ends, so that alive notices its
// recovery although no load balancer asks for /readyz.
func (d *daemon) watchStore(ctx context.Context) error {
	ticker := clock.New().Ticker(storeCheck)
	defer ticker.Stop()
	for {
		d.alive(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// alive reports whether the store responds within 2 seconds and, with PostgreSQL, accepts
// writes. When it does so again, alive ends the back-off of the engine and of the relay.
func (d *daemon) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := d.store.Now(ctx)
	if d.storeDown.Swap(err != nil) && err == nil {
		d.log.InfoContext(ctx, "store is available again; retrying claims and deliveries now")
		d.engine.RetryNow()
		if d.relay != nil {
			d.relay.RetryNow()
		}
	}
	return err == nil
}
