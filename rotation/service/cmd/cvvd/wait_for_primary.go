package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/backoff"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// waitForPrimary opens the store. While the database accepts no writes, as a standby that
// is about to be promoted, it retries until a signal or ctx ends it. Any other error ends
// it immediately: a wrong setting would never succeed.
func waitForPrimary(ctx context.Context, cfg *config.Config, logger *slog.Logger) (store.Store, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for failures := 1; ; failures++ {
		s, err := openStore(ctx, cfg, true)
		if !errors.Is(err, store.ErrReadOnly) {
			return s, err
		}
		if failures == 1 {
			logger.Warn("database accepts no writes; waiting for a primary", "error", err)
		}
		timer := clock.New().Timer(backoff.Jitter(backoff.After(failures, 2*time.Second)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
	}
}
