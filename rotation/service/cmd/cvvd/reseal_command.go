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
				var resealed, failed int
				err := c.audited(ctx, cfg, audit.OperationReseal, false, func(r *audit.Record) (err error) {
					resealed, failed, err = e.Reseal(ctx)
					r.Detail = fmt.Sprintf("re-encrypted %s, %d failed", count(resealed, "card"), failed)
					return err
				})
				fmt.Fprintf(c.Stdout, "re-encrypted %s, %d failed\n", count(resealed, "card"), failed)
				if err == nil && failed > 0 {
					err = command.Hint(fmt.Errorf("%s could not be decrypted; see the log", count(failed, "card")), "keep the old keys in the list until no card fails")
				}
				return err
			})
		},
	}
	f.add(cmd)
	return cmd
}
