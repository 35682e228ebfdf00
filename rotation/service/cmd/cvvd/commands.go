package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// help contains the hand-written help of each command.
//
//go:embed help/*.txt
var help embed.FS

// cli holds what the commands share: the streams and the environment.
type cli struct {
	command.Program
	environ []string
}

func newCLI(stdin io.Reader, stdout, stderr io.Writer, environ []string) *cli {
	return &cli{command.Program{Name: "cvvd", Help: help, Stdin: stdin, Stdout: stdout, Stderr: stderr}, environ}
}

// run runs the command and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := newCLI(stdin, stdout, stderr, os.Environ())
	return c.Execute(ctx, c.root(), args)
}

func (c *cli) root() *cobra.Command {
	root := c.Root(c.serveCommand(), c.migrateCommand(), c.cardCommand(), c.eventsCommand(), c.resealCommand(),
		c.configCommand(), c.versionCommand())
	root.RunE = func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), &serveOptions{dev: true}) }
	return root
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:  "version",
		Args: command.Exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(c.Stdout, "cvvd %s\n", command.Version())
			return err
		},
	}
}

// env returns the value of an environment variable, or "" if it is not set.
func (c *cli) env(name string) string {
	for _, v := range c.environ {
		if len(v) > len(name) && v[:len(name)] == name && v[len(name)] == '=' {
			return v[len(name)+1:]
		}
	}
	return ""
}

// interruptible returns a context that SIGINT and SIGTERM cancel.
func (c *cli) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
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

// serveOptions holds the flags of serve.
type serveOptions = configFlags

func (c *cli) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:  "serve",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), &o) },
	}
	o.add(cmd)
	return cmd
}

// serve runs the daemon until a signal stops it.
func (c *cli) serve(ctx context.Context, o *serveOptions) error {
	cfg, err := c.load(ctx, o, config.All)
	if err != nil {
		return err
	}
	logger := c.logger(cfg)

	// The first signal ends running, the second one aborts the graceful shutdown.
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	patient, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(nil)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	defer c.onAbort()()

	d, err := c.build(running, cfg, o.dev, logger)
	if err != nil {
		return err
	}
	go func() {
		for s := range signals {
			switch {
			case s == syscall.SIGHUP:
				d.reload()
			case running.Err() == nil:
				logger.Info("shutting down; a second signal exits immediately", "signal", s.String())
				stop(nil)
			default:
				giveUp(fmt.Errorf("%s: second signal, exiting without a graceful shutdown", s))
				return
			}
		}
	}()
	return d.run(running, patient, stop)
}

// listen listens on the address. In development mode it falls back to a free port if
// the usual address is in use.
func listen(address string, dev bool, usual string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if dev && address == usual && errors.Is(err, syscall.EADDRINUSE) {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}
