package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/postgres"
)

// interruptible returns a context that ends with an interrupt.
func (c *cli) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

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
			if err := c.audited(ctx, cfg, "migrate", true, func(*api.Record) error { return migrate(ctx, cfg) }); err != nil {
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

func (c *cli) resealCommand() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:  "reseal",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := c.interruptible(cmd.Context())
			defer stop()
			return c.withEngine(ctx, &f, func(cfg *config.Config, e *engine.Engine) error {
				var resealed, failed int
				err := c.audited(ctx, cfg, "reseal", false, func(r *api.Record) (err error) {
					resealed, failed, err = e.Reseal(ctx)
					r.Detail = fmt.Sprintf("%s sealed anew, %d failed", count(resealed, "card"), failed)
					return err
				})
				fmt.Fprintf(c.Stdout, "%s sealed anew, %d failed\n", count(resealed, "card"), failed)
				if err == nil && failed > 0 {
					err = command.Hint(fmt.Errorf("%s could not be opened; the log names them", count(failed, "card")), "keep the old keys in the list until none fails")
				}
				return err
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (c *cli) configCommand() *cobra.Command {
	var f configFlags
	var defaults bool
	check := &cobra.Command{
		Use:  "check",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				return config.WriteExample(c.Stdout)
			}
			cfg, err := c.load(cmd.Context(), &f, config.All)
			if err != nil {
				return err
			}
			return cfg.Write(c.Stdout)
		},
	}
	f.add(check)
	check.Flags().BoolVar(&defaults, "print-defaults", false, "")
	return command.Group("config", check)
}
