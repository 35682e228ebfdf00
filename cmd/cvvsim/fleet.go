package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/sim/fleet"
	"cvvrotation/sim/timeline"
)

// fleetOptions are the flags of the fleet command; those that need no reading
// go straight into the Options.
type fleetOptions struct {
	fleet.Options
	cards       int64
	days        int
	rules       rulesFlags
	start       instantFlag
	mix         mixFlag
	burst       whenFlag
	burstShare  shareFlag
	outageFrom  whenFlag
	perSecond   string
	compare     string
	within      withinFlag
	objective   bool // within is given
	output      string
	writeEvents string
}

var (
	fleetOutputs = []cobra.Completion{"text", "json", "html"}
	whens        = []cobra.Completion{"auto", "always", "never"}
	modes        = []cobra.Completion{"auto", "event", "closed"}
)

func (c *cli) fleetCommand() *cobra.Command {
	var o fleetOptions
	cmd := &cobra.Command{
		Use:  "fleet [flags]",
		RunE: func(cmd *cobra.Command, args []string) error { return c.fleet(cmd, &o, args) },
	}
	o.rules.add(cmd)
	o.mix = mixFlag{{Interval: 24 * time.Hour, Ratio: 1}}
	o.burstShare = 1
	flags := cmd.Flags()
	flags.Int64Var(&o.cards, "cards", 1_000_000, "")
	flags.IntVar(&o.days, "days", 30, "")
	flags.Var(&o.start, "start", "")
	flags.Var(&o.mix, "interval", "")
	flags.DurationVar(&o.Spread, "spread", 0, "")
	flags.Float64Var(&o.Forced.PerDay, "forced", 0, "")
	flags.BoolVar(&o.Forced.Steady, "forced-steady", false, "")
	flags.Var(&o.burst, "burst", "")
	flags.DurationVar(&o.Burst.Within, "burst-within", 10*time.Minute, "")
	flags.Var(&o.burstShare, "burst-share", "")
	flags.Var(&o.outageFrom, "outage-from", "")
	flags.DurationVar(&o.Outage.For, "outage-for", 0, "")
	flags.Int64Var(&o.Capacity, "capacity", 0, "")
	o.within.Ratio = 0.99
	flags.Var(&o.within, "within", "")
	flags.Uint64Var(&o.Seed, "seed", 0, "")
	flags.IntVar(&o.Workers, "workers", 0, "")
	flags.TextVar(&o.Mode, "mode", fleet.ModeAuto, "")
	flags.StringVar(&o.perSecond, "per-second", "auto", "")
	flags.StringVar(&o.compare, "compare-spread", "auto", "")
	flags.StringVarP(&o.output, "output", "o", "text", "")
	flags.StringVar(&o.writeEvents, "write-timeline", "", "")
	for _, name := range []string{"cards", "days", "start", "interval", "spread", "forced", "burst", "burst-within", "burst-share", "outage-from", "outage-for", "capacity", "within", "seed", "workers"} {
		mustComplete(cmd, name, cobra.NoFileCompletions)
	}
	mustComplete(cmd, "mode", cobra.FixedCompletions(modes, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "per-second", cobra.FixedCompletions(whens, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "compare-spread", cobra.FixedCompletions(whens, cobra.ShellCompDirectiveNoFileComp))
	mustComplete(cmd, "output", cobra.FixedCompletions(fleetOutputs, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cli) fleet(cmd *cobra.Command, o *fleetOptions, args []string) error {
	advice := "run cvvsim fleet --help for the flags"
	if err := o.check(cmd, args); err != nil {
		return command.Hint(err, advice)
	}
	var file *command.File
	if o.Record {
		var err error
		if file, err = c.Create(o.writeEvents); err != nil { // signals still end a wait for a FIFO's reader
			return command.Hint(fmt.Errorf("--write-timeline: %w", err), "name a file in a directory that can be written to")
		}
		defer file.Discard()
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, err := c.forecast(ctx, o)
	var refused *fleet.FieldError
	switch {
	case errors.As(err, &refused):
		return command.Hint(fmt.Errorf("--%s: %s", refused.Field, refused.Detail), advice)
	case ctx.Err() != nil:
		return errors.New("interrupted; nothing was written")
	case err != nil:
		return err
	}
	// Written when complete, so that what fails leaves nothing half done.
	var page bytes.Buffer
	switch o.output {
	case "json":
		enc := json.NewEncoder(&page)
		enc.SetIndent("", "  ")
		err = enc.Encode(f)
	case "html":
		err = f.WriteHTML(&page)
	default:
		err = f.WriteText(&page)
	}
	if err != nil {
		return err
	}
	if file != nil {
		if err := f.WriteTimeline(file); err != nil {
			return fmt.Errorf("--write-timeline: %w", err)
		}
		if err := file.Commit(); err != nil {
			return fmt.Errorf("--write-timeline: %w", err)
		}
	}
	out := c.Stdout
	if o.writeEvents == "-" {
		out = c.Stderr
	}
	_, err = page.WriteTo(out)
	return err
}

// check fills in the Options, as far as the flags alone can tell.
func (o *fleetOptions) check(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q: no argument is expected, only flags", args[0])
	}
	for _, f := range []struct {
		name, value string
		known       []cobra.Completion
	}{
		{"-o", o.output, fleetOutputs},
		{"--per-second", o.perSecond, whens},
		{"--compare-spread", o.compare, whens},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("%s %s: one of %s is needed", f.name, f.value, strings.Join(f.known, ", "))
		}
	}
	set := cmd.Flags().Changed
	for _, f := range [][2]string{
		{"burst-within", "burst"}, {"burst-share", "burst"}, {"forced-steady", "forced"},
		{"outage-for", "outage-from"}, {"outage-from", "outage-for"},
	} {
		if set(f[0]) && !set(f[1]) {
			return fmt.Errorf("--%s needs --%s", f[0], f[1])
		}
	}
	if set("capacity") && o.Capacity == 0 {
		return errors.New("--capacity: 0 is no capacity; at least 1 rotation a second is needed")
	}
	o.objective = set("within")
	switch {
	case o.objective && set("capacity"):
		return errors.New("--within and --capacity exclude each other: --within finds the capacity")
	case o.objective && set("write-timeline"):
		return errors.New("--within and --write-timeline exclude each other: write the timeline with --capacity")
	}
	if set("outage-for") && o.Outage.For == 0 {
		return errors.New("--outage-for: 0s is no outage; a duration such as 30m is needed")
	}
	rules, err := o.rules.over(rotation.Rules{})
	if err != nil {
		return fmt.Errorf("--guard: %w", err)
	}
	o.Rules, o.Mix, o.Start = rules, o.mix, o.start.Time
	if o.Start.IsZero() {
		o.Start = fleet.DefaultStart
	}
	if set("burst") {
		o.Burst.At, o.Burst.Ratio = o.burst.after(o.Start), float64(o.burstShare)
	} else {
		o.Burst.Within = 0
	}
	o.Outage.From = o.outageFrom.after(o.Start)
	switch o.Record = set("write-timeline"); {
	case o.Record && o.writeEvents == "":
		return errors.New("--write-timeline needs a file")
	case o.writeEvents == "-" && set("output"):
		return errors.New("--write-timeline - and -o exclude each other: both are for standard output")
	}
	return nil
}

// affordable is what may be added to a forecast unasked: what keeps a core busy
// no longer than this. Counting by the second also takes memory by the day.
const affordable = 2 * time.Second

// forecast runs the forecast, and the comparison where it is wanted.
func (c *cli) forecast(ctx context.Context, o *fleetOptions) (*fleet.Forecast, error) {
	bySecond := o.Options
	bySecond.Detail = fleet.DetailSeconds
	if o.perSecond == "always" || o.perSecond == "auto" && o.days <= 31 && fleet.Cost(o.cards, o.days, bySecond) <= affordable {
		o.Options = bySecond
	}
	compare := o.compare == "always" || o.compare == "auto" && fleet.Cost(o.cards, o.days, o.Options) <= affordable

	progress, finish := c.progress("forecast")
	o.Progress = progress
	var f *fleet.Forecast
	var err error
	if o.objective {
		f, err = fleet.FindCapacity(ctx, o.cards, o.days, o.Options, fleet.Objective(o.within))
	} else {
		f, err = fleet.Run(ctx, o.cards, o.days, o.Options)
	}
	finish()
	if err != nil || !compare {
		return f, err
	}
	progress, finish = c.progress("comparison")
	f.Options.Progress = progress
	err = fleet.CompareSpread(ctx, f)
	finish()
	return f, err
}

// progress shows on a terminal how far the forecast has got. Workers report at
// the same time.
func (c *cli) progress(what string) (report func(done, total int64), finish func()) {
	line := c.statusLine()
	if !line.on {
		return nil, func() {}
	}
	line.last = time.Now() // no progress for a short run
	var mu sync.Mutex
	return func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		line.show("%s %d %%", what, int(100*float64(done)/float64(total)))
	}, line.clear
}

// instantFlag is an instant in RFC 3339.
type instantFlag struct{ time.Time }

func (f *instantFlag) String() string { return "" }
func (f *instantFlag) Type() string   { return "time" }
func (f *instantFlag) Set(s string) error {
	t, err := timeline.ParseInstant(s)
	if err != nil {
		return errors.New("an RFC 3339 instant such as 2027-01-01T00:00:00Z is needed")
	}
	f.Time = t
	return nil
}

// whenFlag is an instant, or a duration after the start.
type whenFlag struct {
	at    time.Time
	later time.Duration
}

func (f *whenFlag) String() string { return "" }
func (f *whenFlag) Type() string   { return "when" }
func (f *whenFlag) Set(s string) (err error) {
	if f.later, err = time.ParseDuration(s); err == nil {
		return nil
	}
	if f.at, err = timeline.ParseInstant(s); err != nil {
		return errors.New("a duration after the start such as 36h, or an RFC 3339 instant, is needed")
	}
	return nil
}

func (f *whenFlag) after(start time.Time) time.Duration {
	if f.at.IsZero() {
		return f.later
	}
	return f.at.Sub(start)
}

// shareFlag is a part of the fleet: 0.25 or 25%.
type shareFlag float64

func (f *shareFlag) String() string { return "" }
func (f *shareFlag) Type() string   { return "share" }
func (f *shareFlag) Set(s string) error {
	number, percent := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x > 0 && x <= 1) {
		return errors.New("a share over 0 and up to 1, or 100%, is needed")
	}
	*f = shareFlag(x)
	return nil
}

// withinFlag is an objective: a time, or a time and a ratio of the rotations,
// 1s:99.9%.
type withinFlag fleet.Objective

func (f *withinFlag) String() string { return "" }
func (f *withinFlag) Type() string   { return "objective" }
func (f *withinFlag) Set(s string) error {
	within, share, weighted := strings.Cut(s, ":")
	d, err := time.ParseDuration(within)
	if err != nil {
		return errors.New("a duration such as 1s, or one with a share such as 1s:99.9%, is needed")
	}
	f.Within = d
	if weighted {
		var part shareFlag
		if err := part.Set(share); err != nil {
			return err
		}
		f.Ratio = float64(part)
	}
	return nil
}

// mixFlag is an interval, or several with their shares: 24h:0.7,1h:0.3.
type mixFlag []fleet.IntervalRatio

func (f *mixFlag) String() string { return "" }
func (f *mixFlag) Type() string   { return "mix" }
func (f *mixFlag) Set(s string) error {
	parts := strings.Split(s, ",")
	var mix mixFlag
	for _, part := range parts {
		interval, share, weighted := strings.Cut(part, ":")
		d, err := time.ParseDuration(interval)
		if err != nil || !weighted && len(parts) > 1 {
			return errors.New("one interval such as 24h, or several with shares such as 24h:0.7,1h:0.3, are needed")
		}
		whole := shareFlag(1)
		if weighted {
			if err := whole.Set(share); err != nil {
				return fmt.Errorf("%s: %w", rotation.FormatDuration(d), err)
			}
		}
		mix = append(mix, fleet.IntervalRatio{Interval: d, Ratio: float64(whole)})
	}
	*f = mix
	return nil
}
