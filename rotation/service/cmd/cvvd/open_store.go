package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/sqlite"
)

// configFlags say where the configuration comes from.
type configFlags struct {
	file   string
	dev    bool
	devDir string
}

func (f *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "")
	cmd.Flags().BoolVar(&f.dev, "dev", false, "")
	cmd.Flags().StringVar(&f.devDir, "dev-dir", "", "")
}

// load reads the configuration, and checks the sections.
func (c *cli) load(ctx context.Context, f *configFlags, sections []string) (*config.Config, error) {
	name := f.file
	if name == "" {
		name = c.env("CVVD_CONFIG")
	}
	switch {
	case f.dev && f.file != "":
		return nil, command.Refuse("leave one of them out", "--dev and --config do not go together")
	case f.devDir != "" && !f.dev:
		return nil, command.Refuse("add --dev", "--dev-dir is for development mode")
	case f.dev:
		return c.loadDev(ctx, f.devDir, sections)
	case name == "":
		return nil, command.Refuse("name one with --config or CVVD_CONFIG (cvvd config check --print-defaults > cvvd.toml writes one to begin with); to try cvvd out: --dev",
			"there is no configuration file")
	}
	loaded, err := config.Load(name, c.environ)
	if err == nil {
		err = loaded.Check(ctx, sections...)
	}
	if err != nil {
		return nil, command.Refuse("cvvd config check --print-defaults documents every setting", "%w", err)
	}
	return &loaded, nil
}

// openStore opens the store that the configuration names. An SQLite database is
// made only if create says so.
func openStore(ctx context.Context, cfg *config.Config, create bool) (store.Store, error) {
	if cfg.Store.Kind == "postgres" {
		url, err := cfg.PostgresURL()
		if err != nil {
			return nil, err
		}
		s, err := postgres.Open(ctx, url, postgres.Options{Connections: cfg.Store.Connections, BackgroundConnections: cfg.Store.Background})
		if errors.Is(err, store.ErrSchema) {
			err = command.Hint(err, "cvvd migrate brings it up to date")
		}
		if err != nil {
			return nil, fmt.Errorf("the store: %w", err)
		}
		return s, nil
	}
	if _, err := os.Stat(cfg.Store.Path); !create && errors.Is(err, fs.ErrNotExist) {
		return nil, command.Hint(fmt.Errorf("the store: there is no database %s", cfg.Store.Path), "cvvd serve and cvvd migrate make it")
	}
	s, err := sqlite.Open(ctx, cfg.Store.Path, sqlite.Options{})
	if err != nil {
		return nil, fmt.Errorf("the store: %w", err)
	}
	return s, nil
}

// engineOptions returns the options of an engine on the store.
func engineOptions(ctx context.Context, cfg *config.Config, s store.Store, logger *slog.Logger) (engine.Options, error) {
	generator, err := cfg.Generator(ctx, nil)
	if err != nil {
		return engine.Options{}, command.Usage(err)
	}
	rules, err := cfg.RotationRules()
	if err != nil {
		return engine.Options{}, command.Usage(err)
	}
	e := &cfg.Engine
	return engine.Options{
		Store: s, Generator: generator, Rules: rules, Logger: logger, Source: cfg.Events.Source,
		Grace: e.Grace.Go(), MaxTries: e.MaxTries, Workers: e.Workers, Batch: e.Batch,
		Poll: e.Poll.Go(), Sweep: e.Sweep.Go(), KeepFor: e.KeepEvents.Go(),
	}, nil
}

// withStore opens the store for one command and closes it afterwards.
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

// withEngine makes an engine on the store for one command.
func (c *cli) withEngine(ctx context.Context, f *configFlags, do func(*config.Config, *engine.Engine) error) error {
	return c.withStore(ctx, f, func(cfg *config.Config, s store.Store) error {
		options, err := engineOptions(ctx, cfg, s, c.logger(cfg))
		if err != nil {
			return err
		}
		e, err := engine.New(options)
		if err != nil {
			return err
		}
		return do(cfg, e)
	})
}

// logger logs to standard error as the configuration says.
func (c *cli) logger(cfg *config.Config) *slog.Logger {
	level, _ := cfg.Level() // checked
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(c.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(c.Stderr, options))
}

// readable writes durations as people do, 1.5s, in JSON as in text: as JSON they
// would be bare nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
