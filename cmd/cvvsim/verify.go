package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

func (c *cli) verifyCommand() *cobra.Command {
	var flags rulesFlags
	cmd := &cobra.Command{
		Use: "verify [flags] FILE...",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(); err != nil {
				return hinted{err, "run cvvsim verify --help for the flags"}
			}
			if len(args) == 0 {
				return hinted{errors.New("a file is needed, or - for standard input"), "run cvvsim verify --help for examples"}
			}
			return c.verify(&flags, args)
		},
	}
	flags.add(cmd)
	return cmd
}

func (c *cli) verify(flags *rulesFlags, files []string) error {
	out := bufio.NewWriter(c.stdout)
	var total verdict
	err := c.eachFile(files, func(r *timeline.Reader, name string) error {
		header, err := r.Rules()
		if err != nil {
			return err
		}
		rules, err := flags.over(header)
		if err != nil {
			return err
		}
		return total.file(out, r, name, rules)
	})
	if err == nil {
		fmt.Fprintln(out, total)
		if total.judged == 0 {
			fmt.Fprintln(c.stderr, "note: nothing was judged: no event says what is expected of it")
		}
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if total.differing > 0 {
		return errDifference
	}
	return nil
}

// verdict counts events: all, those that say what is expected of them, and of
// these the ones whose decision differs.
type verdict struct {
	events, judged, differing int
}

func (v verdict) String() string {
	return fmt.Sprintf("%d events, %d judged, %d differing", v.events, v.judged, v.differing)
}

// file replays one timeline and prints each difference.
func (v *verdict) file(out *bufio.Writer, r *timeline.Reader, name string, rules rotation.Rules) error {
	replay := sim.NewReplay(rules)
	return eachEntry(r, name, func(e timeline.Entry) error {
		step, err := replay.Apply(e)
		if err != nil {
			return err
		}
		v.events++
		if e.Expect.Fields == 0 {
			return nil
		}
		v.judged++
		differences := e.Expect.Differences(step.Outcome())
		if len(differences) == 0 {
			return nil
		}
		v.differing++
		for _, d := range differences {
			fmt.Fprintf(out, "%s:%d: %s: expected %s, the rules say %s\n", name, e.Line, d.Field, d.Want, d.Got)
		}
		fmt.Fprintf(out, "    %v: %s\n", step.Decision.Rule, replay.Explain(step))
		return nil
	})
}
