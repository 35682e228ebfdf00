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
	"golang.org/x/term"
)

// Exit statuses, as the help tells them.
const (
	exitDone       = 0
	exitDifference = 1 // a difference, or a broken invariant, was found
	exitBadInput   = 2 // or usage
)

// errDifference ends a command that has already said what it found.
var errDifference = errors.New("a difference was found")

// hinted is an error with advice of its own.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// help holds the hand-written help of each command.
//
//go:embed help/*.txt
var help embed.FS

// cli is what the commands share: the streams.
type cli struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{stdin, stdout, stderr}
	root := c.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var advice, inner hinted
	var status exitStatus
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errDifference):
		return exitDifference
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(stderr, "error: %v\n", err)
	if errors.As(err, &advice) {
		for errors.As(advice.error, &inner) { // the most specific one
			advice = inner
		}
		fmt.Fprintf(stderr, "hint: %s\n", advice.hint)
	}
	return exitBadInput
}

func (c *cli) command() *cobra.Command {
	root := &cobra.Command{
		Use:               "cvvsim",
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return hinted{fmt.Errorf("unknown command %q", args[0]), "run cvvsim --help for the list of commands"}
			}
			fmt.Fprint(c.stderr, helpText(cmd))
			return hinted{errors.New("a command is needed"), "cvvsim scenarios shows what this is about"}
		},
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetVersionTemplate("cvvsim {{.Version}}\n")
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(c.stdout, helpText(cmd)) })
	root.SetHelpCommand(&cobra.Command{
		Use: "help [command]",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			for _, sub := range cmd.Root().Commands() {
				names = append(names, sub.Name())
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return hinted{fmt.Errorf("unknown command %q", strings.Join(args, " ")), "run cvvsim --help for the list of commands"}
			}
			return about.Help()
		},
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted{err, fmt.Sprintf("run %s --help for the flags", cmd.CommandPath())}
	})
	root.AddCommand(c.replayCommand(), c.verifyCommand(), c.scenariosCommand(), c.checkCommand(), c.fleetCommand(), c.completionCommand())
	return root
}

// helpText returns the hand-written help of the command.
func helpText(cmd *cobra.Command) string {
	text, err := help.ReadFile("help/" + cmd.Name() + ".txt")
	if err != nil {
		return cmd.UsageString()
	}
	return string(text)
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
			return hinted{errors.New("one shell is needed: " + strings.Join(shells, ", ")), "cvvsim completion bash"}
		},
	}
}

// version is the module's version where the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// terminal returns whether the standard output is a terminal, and its width.
func (c *cli) terminal() (is bool, width int) {
	f, ok := c.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return true, width
}
