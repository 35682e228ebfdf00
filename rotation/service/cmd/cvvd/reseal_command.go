package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

func (c *cli) resealCommand() *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:  "reseal",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := c.interruptible(cmd.Context())
			defer stop()
			return c.withEngine(ctx, &f, func(cfg *config.Config, e *engine.Engine) error {
				if err := checkKeys(ctx, e); err != nil {
					return err
				}
				var r engine.Resealed
				err := c.audited(ctx, cfg, audit.OperationReseal, false, func(record *audit.Record) (err error) {
					r, err = e.Reseal(ctx)
					record.Detail = fmt.Sprintf("re-encrypted %s, %d failed", count(r.Cards, "card"), r.Failed)
					return err
				})
				fmt.Fprintf(c.Stdout, "re-encrypted %s, %d failed\n", count(r.Cards, "card"), r.Failed)
				if r.Shared > 0 {
					fmt.Fprintf(c.Stdout, "%s with the PAN and expiry of another card; see the log\n", count(r.Shared, "card"))
				}
				if err == nil && r.Failed > 0 {
					err = command.Hint(fmt.Errorf("%s could not be decrypted; see the log", count(r.Failed, "card")), "keep the old keys in the list until no card fails")
				}
				return err
			})
		},
	}
	f.add(cmd)
	return cmd
}
