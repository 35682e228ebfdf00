package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/postgres"
)

func (c *cli) migrateCommand() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:  "migrate",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := c.interruptible(cmd.Context())
			defer stop()
			cfg, err := c.load(ctx, &f, []string{"store", "log"})
			if err != nil {
				return err
			}
			if err := c.audited(ctx, cfg, audit.Migrate, true, func(*audit.Record) error { return migrate(ctx, cfg) }); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.Stdout, "the schema is the one that this program needs")
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func migrate(ctx context.Context, cfg *config.Config) error {
	if cfg.Store.Kind == "postgres" {
		url, err := cfg.PostgresURL()
		if err != nil {
			return err
		}
		if err := postgres.Migrate(ctx, url); err != nil {
			return fmt.Errorf("migrating: %w", err)
		}
		return nil
	}
	s, err := openStore(ctx, cfg, true) // which does it
	if err != nil {
		return err
	}
	return s.Close()
}
