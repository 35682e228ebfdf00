package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/sqlite"
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
			var version int
			err = c.audited(ctx, cfg, audit.OperationMigrate, true, func(*audit.Record) (err error) {
				version, err = migrate(ctx, cfg)
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Stdout, "schema is up to date (version %d)\n", version)
			return err
		},
	}
	f.add(cmd)
	return cmd
}

// migrate updates the schema and returns its version.
func migrate(ctx context.Context, cfg *config.Config) (version int, err error) {
	if cfg.Store.Kind == "postgres" {
		url, err := cfg.PostgresURL()
		if err == nil {
			err = postgres.Migrate(ctx, url, postgres.Options{})
		}
		return postgres.SchemaVersion(), err
	}
	s, err := openStore(ctx, cfg, true) // opening SQLite migrates it
	if err != nil {
		return 0, err
	}
	return sqlite.SchemaVersion(), s.Close()
}
