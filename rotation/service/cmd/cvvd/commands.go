package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
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
		c.auditCommand(), c.configCommand(), c.versionCommand())
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
