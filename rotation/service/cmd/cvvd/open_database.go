package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/sqlite"
)

// openStore opens the database that the configuration names and checks its schema. It
// migrates an SQLite database, and creates a missing one only if create is true.
func openStore(ctx context.Context, cfg *config.Config, create bool) (store.Store, error) {
	if cfg.Store.Kind == "postgres" {
		url, err := cfg.PostgresURL()
		if err != nil {
			return nil, err
		}
		s, err := postgres.Open(ctx, url, postgres.Options{Connections: cfg.Store.Connections, BackgroundConnections: cfg.Store.Background})
		if errors.Is(err, store.ErrSchema) {
			err = command.Hint(err, "run cvvd migrate to update the schema")
		}
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		return s, nil
	}
	if _, err := os.Stat(cfg.Store.Path); !create && errors.Is(err, fs.ErrNotExist) {
		return nil, command.Hint(fmt.Errorf("store: database %s does not exist", cfg.Store.Path), "run cvvd serve or cvvd migrate to create it")
	}
	s, err := sqlite.Open(ctx, cfg.Store.Path, sqlite.Options{})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return s, nil
}

// newEngine returns an engine on the store. The configuration completes the options.
func newEngine(ctx context.Context, cfg *config.Config, s store.Store, logger *slog.Logger, o engine.Options) (*engine.Engine, error) {
	generator, err := cfg.Generator(ctx)
	if err != nil {
		return nil, command.Usage(err)
	}
	rules, err := cfg.RotationRules()
	if err != nil {
		return nil, command.Usage(err)
	}
	e := &cfg.Engine
	o.Rules, o.Logger, o.Source = rules, logger, cfg.Events.Source
	o.Grace, o.MaxTries, o.MaxDailyTries, o.Workers, o.Batch = e.Grace.Go(), e.MaxTries, e.MaxDailyTries, e.Workers, e.Batch
	o.Poll, o.Sweep, o.KeepFor = e.Poll.Go(), e.Sweep.Go(), e.KeepEvents.Go()
	return engine.New(s, generator, o)
}

// withStore runs do with the store open.
func (c *cli) withStore(ctx context.Context, f *configFlags, do func(*config.Config, store.Store) error) (err error) {
	cfg, err := c.load(ctx, f, config.Stored)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(cfg, s)
}

// withEngine runs do with an engine on the open store.
func (c *cli) withEngine(ctx context.Context, f *configFlags, do func(*config.Config, *engine.Engine) error) error {
	return c.withStore(ctx, f, func(cfg *config.Config, s store.Store) error {
		e, err := newEngine(ctx, cfg, s, c.logger(cfg), engine.Options{})
		if err != nil {
			return err
		}
		return do(cfg, e)
	})
}

// checkKeys refuses keys that are not those of the daemon: what a command encrypts with
// them, the daemon could not decrypt.
func checkKeys(ctx context.Context, e *engine.Engine) error {
	err := e.CheckKeys(ctx)
	if errors.Is(err, engine.ErrKeys) {
		err = command.Hint(err, "use the configuration of the daemon; after a change of its list of keys, restart the daemon first")
	}
	return err
}
