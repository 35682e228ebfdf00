package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/sim"
	"cvvrotation/sim/draw"
	"cvvrotation/sim/scenarios"
	"cvvrotation/sim/timeline"
)

func (c *cli) scenariosCommand() *cobra.Command {
	var list, source bool
	var color string
	cmd := &cobra.Command{
		Use: "scenarios [flags] [NAME...]",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			for _, s := range scenarios.All() {
				names = append(names, cobra.CompletionWithDesc(s.Name, s.Title))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(colors, color) {
				return command.Hint(fmt.Errorf("--color %s: one of %s is needed", color, strings.Join(colors, ", ")), "run cvvsim scenarios --help for the flags")
			}
			told, err := find(args)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(c.Stdout)
			switch {
			case list && source:
				err = errors.New("--list and --source exclude each other")
			case list:
				for _, s := range told {
					fmt.Fprintf(out, "%-22s %s\n", s.Name, s.Title)
				}
			case source:
				for _, s := range told {
					fmt.Fprint(out, s.Source)
				}
			default:
				err = tell(out, told, c.textOptions(color))
			}
			return flush(out, err)
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "")
	cmd.Flags().BoolVar(&source, "source", false, "")
	cmd.Flags().StringVar(&color, "color", "auto", "")
	mustComplete(cmd, "color", cobra.FixedCompletions(colors, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// find returns the named scenarios, all of them when there is no name.
func find(names []string) ([]scenarios.Scenario, error) {
	if len(names) == 0 {
		return scenarios.All(), nil
	}
	var told []scenarios.Scenario
	for _, name := range names {
		s, ok := scenarios.Find(name)
		if !ok {
			return nil, command.Hint(fmt.Errorf("no scenario is named %q", name), "run cvvsim scenarios --list for the names")
		}
		told = append(told, s)
	}
	return told, nil
}

// tell plays each scenario and holds it against its own expectations.
func tell(out *bufio.Writer, told []scenarios.Scenario, o draw.TextOptions) error {
	bold, plain := "", ""
	if o.Color {
		bold, plain = "\x1b[1m", "\x1b[0m"
	}
	report := newVerifyReport(out, &verifyOptions{output: "text"})
	for i, s := range told {
		if i > 0 {
			fmt.Fprintln(out)
		}
		o.NoKey = i > 0
		fmt.Fprintf(out, "%s%s%s (%s)\n%s\n\n", bold, s.Title, plain, s.Name, s.Text)
		if err := play(out, s, o); err != nil {
			return err
		}
		r := timeline.NewReader(strings.NewReader(s.Source), s.File())
		rules, err := r.Rules()
		if err != nil {
			return err
		}
		if err := report.file(r, s.File(), sim.NewVerifier(rules, sim.VerifierOptions{})); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	if err := report.close(io.Discard); err != nil {
		return err
	}
	if report.Differing > 0 {
		return command.Status(exitDifference)
	}
	return nil
}

func play(out *bufio.Writer, s scenarios.Scenario, o draw.TextOptions) error {
	r := timeline.NewReader(strings.NewReader(s.Source), s.File())
	rules, err := r.Rules()
	if err != nil {
		return err
	}
	text := draw.NewText(out, rules, o)
	return errors.Join(replayOpen(r, s.File(), rules, text.Step), text.Close())
}
