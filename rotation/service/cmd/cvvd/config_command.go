package main

import (
	"fmt"

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
			for _, w := range cfg.Warnings() {
				fmt.Fprintf(c.Stderr, "warning: %v\n", w)
			}
			return cfg.Write(c.Stdout)
		},
	}
	f.add(check)
	check.Flags().BoolVar(&defaults, "print-defaults", false, "")
	return command.Group("config", check)
}
