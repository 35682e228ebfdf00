package main

import (
	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

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
