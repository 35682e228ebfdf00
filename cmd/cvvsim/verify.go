package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

type verifyOptions struct {
	rules   rulesFlags
	partial bool
	fields  map[string]string
	events  map[string]string
	limit   int

	mapping *timeline.Mapping // nil without --map and --map-event
}

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
			return c.verify(&o, args)
		},
	}
	o.rules.add(cmd)
	cmd.Flags().BoolVar(&o.partial, "partial", false, "")
	cmd.Flags().StringToStringVar(&o.fields, "map", nil, "")
	cmd.Flags().StringToStringVar(&o.events, "map-event", nil, "")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "")
	return cmd
}

// check finds what is wrong with the flags before any input is read.
func (o *verifyOptions) check() (err error) {
	if o.limit < 0 {
		return fmt.Errorf("--limit %d: use a number of events, or 0 for all", o.limit)
	}
	if len(o.fields) > 0 || len(o.events) > 0 {
		if o.mapping, err = timeline.NewMapping(o.fields, o.events); err != nil {
			return err
		}
	}
	return o.rules.check()
}

func (c *cli) verify(o *verifyOptions, files []string) error {
	out := bufio.NewWriter(c.Stdout)
	total := tally{limit: o.limit}
	skipped := 0
	err := c.eachFile(files, func(r *timeline.Reader, name string) error {
		if o.mapping != nil {
			r.Map(o.mapping)
		}
		rules, err := o.rules.of(r)
		if err != nil {
			return err
		}
		err = total.file(out, r, name, rules, o.partial)
		skipped += r.Skipped()
		return err
	})
	if err == nil {
		if unprinted := total.differing - total.printed; unprinted > 0 {
			fmt.Fprintf(out, "and %d more\n", unprinted)
		}
		fmt.Fprintln(out, &total)
		if total.judged == 0 {
			fmt.Fprintln(c.Stderr, "note: nothing was judged: no event carries an expectation")
		}
		if total.imprecise > 0 {
			fmt.Fprintf(c.Stderr, "warning: a slot or next is less than a second from the right one (%d times, first: %s): a column or a message may have rounded it. "+
				"Deliver what State.Due returns for the stored state.\n", total.imprecise, total.firstImprecise)
		}
		if skipped > 0 {
			fmt.Fprintf(c.Stderr, "note: %d lines without an event were skipped\n", skipped)
		}
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if total.differing > 0 {
		return command.Status(exitDifference)
	}
	return nil
}

// tally counts events: all; those that could be judged, differing ones among
// them; and those that could not, because the card's state was not known.
type tally struct {
	events, judged, differing, unknown int

	limit, printed int // of the differing events; no limit when 0

	imprecise      int    // events whose slot or next was rounded
	firstImprecise string // file, line and card of the first
}

func (v *tally) String() string {
	return fmt.Sprintf("%d events, %d judged, %d differing, %d unknown", v.events, v.judged, v.differing, v.unknown)
}

// file judges one timeline and prints each difference.
func (v *tally) file(out *bufio.Writer, r *timeline.Reader, name string, rules rotation.Rules, partial bool) error {
	verifier := sim.NewVerifier(rules, partial)
	return eachEntry(r, name, func(e timeline.Entry) error {
		f, err := verifier.Apply(e)
		if err != nil {
			return err
		}
		v.events++
		if f.LostPrecision != 0 {
			if v.imprecise++; v.imprecise == 1 {
				v.firstImprecise = fmt.Sprintf("%s:%d, card %s", name, e.Line, e.Card)
			}
		}
		switch f.Verdict {
		case sim.VerdictAgrees:
			v.judged++
		case sim.VerdictUnknown:
			v.unknown++
		case sim.VerdictDiffers:
			v.judged++
			v.differing++
			if v.limit > 0 && v.printed == v.limit {
				break
			}
			v.printed++
			for _, d := range f.Differences {
				fmt.Fprintf(out, "%s:%d: %s: expected %s, the rules say %s\n", name, e.Line, d.Field, d.Want, d.Got)
			}
			if len(f.Differences) == 0 {
				fmt.Fprintf(out, "%s:%d: expected %s\n", name, e.Line, e.Expect)
			}
			fmt.Fprintf(out, "    %s\n", f.Explanation)
		}
		return nil
	})
}
