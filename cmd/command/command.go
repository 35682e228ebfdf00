// Package command is the frame that cvvsim and cvvd share: a root command whose
// help is hand-written text, errors that carry a hint and an exit status, files that
// appear complete, a completion command and the version.
//
// A program's main calls a function of this form, which tests call as well:
//
//	func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
//		p := command.Program{Name: "demo", Help: help, Stdin: stdin, Stdout: stdout, Stderr: stderr}
//		return p.Execute(ctx, p.Root(greetCommand()), args)
//	}
//
// Standard output is data; errors and hints go to standard error.
package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	ExitDone   = 0
	ExitFailed = 1 // the command could not do what it was asked to
	ExitUsage  = 2 // bad usage: nothing was tried
)

// Program is a command-line program.
type Program struct {
	Name    string
	Help    fs.FS // help/NAME.txt for each command; help/card_force.txt for "card force"
	Failure int   // exit status of errors that have none of their own; 0: ExitFailed

	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	helpErr error // of writing help, which cobra's functions do not return
}

// Root returns the root command with the commands below it, and with help and
// completion. Without a RunE of its own it refuses a call that names no command.
func (p *Program) Root(commands ...*cobra.Command) *cobra.Command {
	hint := fmt.Sprintf("run %s --help for the list of commands", p.Name)
	root := &cobra.Command{
		Use:               p.Name,
		Version:           Version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return Refuse(hint, "unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return Refuse(hint, "a command is needed") },
	}
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := io.WriteString(cmd.OutOrStderr(), p.helpText(cmd))
		return err
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { _, p.helpErr = io.WriteString(p.Stdout, p.helpText(cmd)) })
	root.SetHelpCommand(&cobra.Command{
		Use: "help [command]",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			for _, sub := range cmd.Root().Commands() {
				names = append(names, sub.Name())
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return Refuse(hint, "unknown command %q", strings.Join(args, " "))
			}
			return about.Help()
		},
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return Refuse(fmt.Sprintf("run %s --help for the flags", cmd.CommandPath()), "%w", err)
	})
	root.AddCommand(commands...)
	root.AddCommand(p.completion())
	return root
}

// Execute runs the command that args name and returns the exit status. It prints
// an error to standard error: each of its lines after "error: ", then its hint.
func (p *Program) Execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return p.report(cmp.Or(err, p.helpErr))
}

func (p *Program) completion() *cobra.Command {
	shells := map[string]func(root *cobra.Command) error{
		"bash":       func(root *cobra.Command) error { return root.GenBashCompletionV2(p.Stdout, true) },
		"zsh":        func(root *cobra.Command) error { return root.GenZshCompletion(p.Stdout) },
		"fish":       func(root *cobra.Command) error { return root.GenFishCompletion(p.Stdout, true) },
		"powershell": func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(p.Stdout) },
	}
	return &cobra.Command{
		Use:                   "completion SHELL",
		DisableFlagsInUseLine: true,
		ValidArgs:             []cobra.Completion{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return Refuse(p.Name+" completion bash", "one shell is needed: bash, zsh, fish, powershell")
			}
			return shells[args[0]](cmd.Root())
		},
	}
}

// Group returns a command that only has other commands below it.
func Group(name string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:  name,
		Args: cobra.ArbitraryArgs,
		// If the command's name is misspelt, its flags are unknown here: report the name.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			hint := fmt.Sprintf("run %s --help for the list", cmd.CommandPath())
			if len(args) == 0 {
				return Refuse(hint, "%s: a command is needed", cmd.CommandPath())
			}
			return Refuse(hint, "%s: unknown command %q", cmd.CommandPath(), args[0])
		},
	}
	cmd.AddCommand(below...)
	return cmd
}

// Exactly accepts one argument for each of the descriptions, such as "a card's id".
func Exactly(args ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		switch hint := fmt.Sprintf("run %s --help", cmd.CommandPath()); {
		case len(given) < len(args):
			return Refuse(hint, "%s: %s is needed", cmd.CommandPath(), args[len(given)])
		case len(given) > len(args):
			return Refuse(hint, "%s: unexpected argument %q", cmd.CommandPath(), given[len(args)])
		}
		return nil
	}
}

// Version returns the version of the program's module, or the commit that it was
// built from, or "devel" if the build knows neither.
func Version() string {
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
