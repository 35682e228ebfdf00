package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/draw"
	"cvvrotation/sim/timeline"
)

type replayOptions struct {
	rules  rulesFlags
	log    mappingFlags
	window window
	output string
	color  string
	title  string
	auto   bool
	until  string
	lag    time.Duration
}

func (c *cli) replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:  "replay [flags] [FILE...]",
		RunE: func(cmd *cobra.Command, args []string) error { return c.replay(cmd, &o, args) },
	}
	o.rules.add(cmd)
	o.log.add(cmd)
	o.window.add(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "o", "text", "")
	flags.StringVar(&o.color, "color", "auto", "")
	flags.StringVar(&o.title, "title", "", "")
	flags.BoolVar(&o.auto, "auto", false, "")
	flags.StringVar(&o.until, "until", "", "")
	flags.DurationVar(&o.lag, "lag", 0, "")
	mustComplete(cmd, "output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "color", cobra.FixedCompletions(colors, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var (
	outputs = []cobra.Completion{"text", "jsonl", "timeline", "svg", "html"}
	colors  = []cobra.Completion{"auto", "always", "never"}
)

func (c *cli) replay(cmd *cobra.Command, o *replayOptions, files []string) error {
	until, err := o.check(cmd)
	if err != nil {
		return command.Hint(err, "run cvvsim replay --help for the flags")
	}
	var drawn pictures
	place, shown := 0, 0
	out := bufio.NewWriterSize(c.Stdout, 64<<10)
	written := newMerged(out, o.output, len(files))
	err = c.eachFile(files, o.log.mapping, func(r *timeline.Reader, name string) error {
		rules, err := o.rules.of(r)
		if err != nil {
			return err
		}
		if len(files) > 1 && o.output == "text" {
			fmt.Fprintf(out, "%s\n", name)
		}
		place++
		var s sink
		switch o.output {
		case "svg", "html":
			s = drawn.sink(name, len(files), rules)
		case "jsonl", "timeline":
			s = written.sink(rules, name, place)
		default:
			s = c.textSink(out, o, rules)
		}
		differing := 0
		emit := func(step sim.Step) error {
			if !o.window.includes(step.Entry) {
				return nil
			}
			shown++
			if x := step.Entry.Expect; x.Fields != 0 && len(x.Differences(step.Outcome())) > 0 {
				differing++
			}
			return s.step(step)
		}
		if o.auto {
			err = c.replayClosed(r, name, rules, until, o.lag, emit)
		} else {
			err = replayOpen(r, name, rules, emit)
		}
		if differing > 0 {
			fmt.Fprintf(c.Stderr, "note: %s: %d events differ from their expectations; run cvvsim verify for the list\n", name, differing)
		}
		return errors.Join(err, s.close(err == nil))
	})
	if err == nil && o.draws() { // half a picture is worse than none
		err = drawn.write(out, c.Stderr, o.output, o.title, "")
	}
	if err == nil && shown == 0 && o.window.restricted() {
		err = errors.New("nothing was printed: " + nothingChosen)
	}
	// What was decided before a bad line is printed; nothing after it is.
	return flush(out, err)
}

// check finds what is wrong with the flags before any input is read.
func (o *replayOptions) check(cmd *cobra.Command) (until time.Time, err error) {
	if err := errors.Join(o.log.check(), o.rules.check(), o.window.check()); err != nil {
		return until, err
	}
	if o.title != "" && !o.draws() {
		return until, errors.New("--title needs -o svg or -o html")
	}
	if !slices.Contains(outputs, o.output) {
		return until, fmt.Errorf("-o %s: one of %s is needed", o.output, strings.Join(outputs, ", "))
	}
	if !slices.Contains(colors, o.color) {
		return until, fmt.Errorf("--color %s: one of %s is needed", o.color, strings.Join(colors, ", "))
	}
	switch {
	case o.auto && o.until == "":
		return until, errors.New("--auto needs --until TIME, the instant to stop at")
	case !o.auto && (o.until != "" || cmd.Flags().Changed("lag")):
		return until, errors.New("--until and --lag need --auto")
	case !o.auto:
		return until, nil
	}
	if until, err = timeline.ParseInstant(o.until); err != nil {
		return until, fmt.Errorf("--until %q is not an RFC 3339 instant such as 2026-11-30T00:00:00Z", o.until)
	}
	_, err = sim.NewLoop(rotation.Rules{}, until, o.lag)
	return until, err
}

// draws reports whether the output is a picture.
func (o *replayOptions) draws() bool { return o.output == "svg" || o.output == "html" }

func replayOpen(r *timeline.Reader, name string, rules rotation.Rules, emit func(sim.Step) error) error {
	replay := sim.NewReplay(rules)
	return eachEntry(r, name, func(e timeline.Entry) error {
		step, err := replay.Apply(e)
		if err != nil {
			return err
		}
		return emit(step)
	})
}

func (c *cli) replayClosed(r *timeline.Reader, name string, rules rotation.Rules, until time.Time, lag time.Duration, emit func(sim.Step) error) error {
	loop, err := sim.NewLoop(rules, until, lag)
	if err != nil {
		return err
	}
	beyond := 0
	err = eachEntry(r, name, func(e timeline.Entry) error {
		if e.Event.At().After(until) {
			beyond++
		}
		return loop.Apply(e, emit)
	})
	if err != nil {
		return err
	}
	if err := loop.Finish(emit); err != nil {
		return err
	}
	if beyond > 0 {
		fmt.Fprintf(c.Stderr, "note: %s: %d events are later than --until; nothing fires after it\n", name, beyond)
	}
	return nil
}

// A sink takes the steps of one timeline in one of the outputs.
type sink struct {
	step  func(sim.Step) error
	close func(complete bool) error
}

// textSink returns the sink of the output for people.
func (c *cli) textSink(out *bufio.Writer, o *replayOptions, rules rotation.Rules) sink {
	text := draw.NewText(out, rules, c.textOptions(o.color))
	return sink{
		step: text.Step,
		close: func(complete bool) error {
			if complete {
				return text.Close()
			}
			return text.Flush() // the summary would be of a part
		},
	}
}

// textOptions says how to draw for the standard output: in colour when it is a
// terminal and NO_COLOR (no-color.org) is not set, within its width.
func (c *cli) textOptions(color string) draw.TextOptions {
	terminal, width := c.terminal()
	o := draw.TextOptions{Width: width}
	switch color {
	case "always":
		o.Color = true
	case "auto":
		o.Color = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return o
}

func atLine(file string, line int, err error) error {
	return &timeline.Error{File: file, Line: line, Err: err}
}
