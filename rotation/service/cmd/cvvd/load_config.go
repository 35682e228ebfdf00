package main

import (
	"context"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// configFlags holds the flags that select the configuration.
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

// load reads the configuration and checks the sections.
func (c *cli) load(ctx context.Context, f *configFlags, sections []string) (*config.Config, error) {
	name := f.file
	if name == "" {
		name = c.env("CVVD_CONFIG")
	}
	switch {
	case f.dev && f.file != "":
		return nil, command.Refuse("use one of them", "--dev and --config exclude each other")
	case f.devDir != "" && !f.dev:
		return nil, command.Refuse("add --dev", "--dev-dir requires --dev")
	case f.dev:
		return c.loadDev(ctx, f.devDir, sections)
	case name == "":
		return nil, command.Refuse("set --config or CVVD_CONFIG (cvvd config check --print-defaults > cvvd.toml writes a template), or use --dev to try cvvd",
			"no configuration file given")
	}
	loaded, err := config.Load(name, c.environ)
	if err == nil {
		err = loaded.Check(ctx, sections...)
	}
	if err != nil {
		return nil, command.Refuse("run cvvd config check --print-defaults for the documentation of every setting", "%w", err)
	}
	return &loaded, nil
}
