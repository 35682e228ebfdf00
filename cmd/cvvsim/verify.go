package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

type verifyOptions struct {
	rules         rulesFlags
	window        window
	output        string
	partial       bool
	anyInterval   bool
	allowUnjudged bool
	log           mappingFlags
	limit         int
}

var verifyOutputs = []cobra.Completion{"text", "json", "timeline", "svg", "html"}

func (c *cli) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use: "verify [flags] FILE...",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return command.Hint(err, "run cvvsim verify --help for the flags")
			}
			if len(args) == 0 {
				return command.Hint(errors.New("a file is needed, or - for standard input"), "run cvvsim verify --help for examples")
			}
			if len(args) > 1 && o.output == "timeline" {
				return command.Hint(errors.New("-o timeline: a timeline is of one file"), "run the command once for each file, or use -o html")
			}
			return c.verify(&o, args)
		},
	}
	o.rules.add(cmd)
	o.log.add(cmd)
	o.window.add(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "o", "text", "")
	flags.BoolVar(&o.partial, "partial", false, "")
	flags.BoolVar(&o.anyInterval, "any-interval", false, "")
	flags.BoolVar(&o.allowUnjudged, "allow-unjudged", false, "")
	flags.IntVar(&o.limit, "limit", 0, "")
	mustComplete(cmd, "output", cobra.FixedCompletions(verifyOutputs, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// check finds what is wrong with the flags before any input is read.
func (o *verifyOptions) check() error {
	if !slices.Contains(verifyOutputs, o.output) {
		return fmt.Errorf("-o %s: one of %s is needed", o.output, strings.Join(verifyOutputs, ", "))
	}
	if o.limit < 0 {
		return fmt.Errorf("--limit %d: use a number of events, or 0 for all", o.limit)
	}
	return errors.Join(o.window.check(), o.log.check(), o.rules.check())
}

func (c *cli) verify(o *verifyOptions, files []string) error {
	out := bufio.NewWriter(c.Stdout)
	report := newVerifyReport(out, o)
	err := c.eachFile(files, o.log.mapping, func(r *timeline.Reader, name string) error {
		rules, err := o.rules.of(r)
		if err != nil {
			return err
		}
		report.begin(rules, name, len(files))
		return report.file(r, name, sim.NewVerifier(rules, o.verifier(r.DaemonEvents())))
	})
	if err != nil && o.output == "json" {
		report.Error = err.Error() // with what was found before the bad line
		err = errors.Join(err, report.close(c.Stderr))
	} else if err == nil {
		err = report.close(c.Stderr)
		if report.imprecise > 0 {
			fmt.Fprintf(c.Stderr, "warning: a slot or next is less than a second from the right one (%d times, first: %s): a column or a message may have rounded it. "+
				"Deliver what State.Due returns for the stored state.\n", report.imprecise, report.firstImprecise)
		}
		if report.repeated > 0 {
			fmt.Fprintf(c.Stderr, "note: %d events that were delivered again were dropped\n", report.repeated)
		}
		if report.gaps > 0 {
			fmt.Fprintf(c.Stderr, "warning: %d events are missing, by their numbers (first: %s): the state of their cards was inferred again\n", report.gaps, report.firstGap)
		}
	}
	if err := flush(out, err); err != nil {
		return err
	}
	if report.Differing > 0 {
		return command.Status(exitDifference)
	}
	if report.Judged == 0 && !o.allowUnjudged {
		return command.Hint(errors.New("nothing was judged: "+report.whyUnjudged()), "--allow-unjudged accepts that")
	}
	return nil
}

// draws reports whether the log is drawn, rather than its differences listed.
func (o *verifyOptions) draws() bool { return o.output != "text" && o.output != "json" }

// verifier returns what a log is, by the flags and by what was read.
func (o *verifyOptions) verifier(daemonEvents bool) sim.VerifierOptions {
	v := sim.VerifierOptions{Partial: o.partial, Recorded: o.log.mapping != nil || daemonEvents}
	if daemonEvents {
		v.IntervalUnit = time.Hour // as the API sets them
	}
	if o.anyInterval {
		v.IntervalUnit = -1
	}
	return v
}
