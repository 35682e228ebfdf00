package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses, as the help tells them.
const (
	exitDone   = 0
	exitFailed = 1 // the command could not do what it was asked
	exitUsage  = 2 // bad usage or configuration: nothing was tried
)

// hinted is an error with advice.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// usageError is bad usage or configuration.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// refuse returns a usageError with advice.
func refuse(hint, format string, args ...any) error {
	return usageError{hinted{fmt.Errorf(format, args...), hint}}
}

// help holds the hand-written help of each command.
//
//go:embed help/*.txt
var help embed.FS

// cli is what the commands share: the streams and the environment.
type cli struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin, stdout, stderr, os.Environ()}
	root := c.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(stderr, "error: %s\n", strings.TrimSpace(line))
	}
	var advice hinted
	if errors.As(err, &advice) {
		fmt.Fprintf(stderr, "hint: %s\n", advice.hint)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func (c *cli) command() *cobra.Command {
	var demo serveOptions
	root := &cobra.Command{
		Use:               "cvvd",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return refuse("run cvvd --help for the list of commands", "unknown command %q", args[0])
			}
			demo.dev = true
			return c.serve(cmd.Context(), &demo)
		},
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(c.stdout, helpText(cmd)) })
	root.SetHelpCommand(&cobra.Command{
		Use: "help [command]",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return refuse("run cvvd --help for the list of commands", "unknown command %q", strings.Join(args, " "))
			}
			return about.Help()
		},
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return refuse(fmt.Sprintf("run %s --help for the flags", cmd.CommandPath()), "%w", err)
	})
	root.AddCommand(c.serveCommand(), c.migrateCommand(), c.cardCommand(), c.eventsCommand(), c.resealCommand(),
		c.configCommand(), c.versionCommand(), c.completionCommand())
	return root
}

// helpText returns the hand-written help of the command: help/card_force.txt is
// that of "cvvd card force".
func helpText(cmd *cobra.Command) string {
	name := cmd.Name()
	if cmd.HasParent() && cmd.Parent().HasParent() {
		name = cmd.Parent().Name() + "_" + name
	}
	text, err := help.ReadFile("help/" + name + ".txt")
	if err != nil {
		return cmd.UsageString()
	}
	return string(text)
}

// group is a command that only has others below it.
func group(name string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:  name,
		Args: cobra.ArbitraryArgs,
		// Flags of a command whose name is misspelt are not what is wrong.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			hint := fmt.Sprintf("run %s --help for the list", cmd.CommandPath())
			if len(args) == 0 {
				return refuse(hint, "%s: a command is needed", cmd.CommandPath())
			}
			return refuse(hint, "%s: unknown command %q", cmd.CommandPath(), args[0])
		},
	}
	cmd.AddCommand(below...)
	return cmd
}

// exactly refuses any other number of arguments.
func exactly(what ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch hint := fmt.Sprintf("run %s --help", cmd.CommandPath()); {
		case len(args) < len(what):
			return refuse(hint, "%s: %s is needed", cmd.CommandPath(), what[len(args)])
		case len(args) > len(what):
			return refuse(hint, "%s: %q is one argument too many", cmd.CommandPath(), args[len(what)])
		}
		return nil
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:  "version",
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(c.stdout, "cvvd %s\n", version())
			return err
		},
	}
}

func (c *cli) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:                   "completion SHELL",
		DisableFlagsInUseLine: true,
		ValidArgs:             shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				switch root := cmd.Root(); args[0] {
				case "bash":
					return root.GenBashCompletionV2(c.stdout, true)
				case "zsh":
					return root.GenZshCompletion(c.stdout)
				case "fish":
					return root.GenFishCompletion(c.stdout, true)
				case "powershell":
					return root.GenPowerShellCompletionWithDesc(c.stdout)
				}
			}
			return refuse("cvvd completion bash", "one shell is needed: %s", strings.Join(shells, ", "))
		},
	}
}

// version is the module's version, or the commit that was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
